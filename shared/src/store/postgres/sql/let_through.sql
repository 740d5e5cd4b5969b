-- Lets parked jobs through: their places in line go ($1, with those of jobs that do not wait any more), their permits and
-- dispatches come ($2 to $4: one for each permit; $5: the jobs).
WITH gone AS (
    DELETE FROM parked_jobs WHERE job_id = ANY($1)
),
given AS (
    INSERT INTO permits (name, job_id, period_ms) SELECT * FROM unnest($2::text[], $3::uuid[], $4::bigint[])
)
INSERT INTO dispatches (queue, band, kind, tenant, jobs)
SELECT queue, band, kind, tenant, array_agg(id ORDER BY id)
FROM (
    SELECT id, queue, lane_of(priority, express) AS band, kind, tenant, dispatch_width, (row_number() OVER (
        PARTITION BY queue, lane_of(priority, express), kind, tenant, dispatch_width ORDER BY id
    ) - 1) / dispatch_width AS chunk
    FROM jobs WHERE id = ANY($5) AND id BETWEEN $6 AND $7
) w
GROUP BY queue, band, kind, tenant, dispatch_width, chunk
RETURNING id, queue, band, kind, jobs

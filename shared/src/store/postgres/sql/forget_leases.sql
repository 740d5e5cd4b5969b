-- Ends incarnations of remote workers that hold no running job.
WITH idle AS MATERIALIZED (
    SELECT w.id FROM workers w
    WHERE w.id = ANY($1) AND w.run_until IS NOT NULL AND NOT EXISTS (
        SELECT FROM leases l
        JOIN LATERAL unnest(l.jobs) AS u (id) ON true
        JOIN jobs j ON j.id = ANY(ARRAY[u.id])
        WHERE l.worker = w.id AND j.status = 'in_progress' AND j.worker = w.id
    )
    ORDER BY w.id
    -- Skipped: being buried, which comes to the same.
    FOR UPDATE OF w SKIP LOCKED
),
unleased AS (
    DELETE FROM leases WHERE worker = ANY(ARRAY(SELECT id FROM idle))
)
DELETE FROM workers WHERE id = ANY(ARRAY(SELECT id FROM idle))

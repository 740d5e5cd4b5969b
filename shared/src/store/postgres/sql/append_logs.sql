-- Adds lines behind those that each log has, if its attempt still runs and it is not full.
WITH batch AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::integer[], $6::bigint[])
        AS b (id, attempt, token, entries, lines, bytes)
),
live AS MATERIALIZED (
    SELECT b.*, COALESCE(behind.next, 1) AS first, COALESCE(behind.total_bytes, 0) AS so_far
    FROM batch b
    JOIN jobs j ON j.id = ANY(ARRAY[b.id]) AND j.attempt = b.attempt AND j.token = b.token
    LEFT JOIN LATERAL (
        SELECT l.first + l.lines AS next, l.total_bytes FROM job_logs l
        WHERE l.job_id = b.id ORDER BY l.first DESC LIMIT 1
    ) behind ON true
    WHERE j.id BETWEEN $8 AND $9 AND j.status = 'in_progress'
)
INSERT INTO job_logs (job_id, first, lines, total_bytes, attempt, entries)
SELECT id, first, lines, so_far + bytes, attempt, entries FROM live WHERE so_far < $7

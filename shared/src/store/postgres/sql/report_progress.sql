WITH batch AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[]) AS b (id, attempt, token, progress)
),
locked AS MATERIALIZED (
    SELECT id, attempt, token FROM jobs
    WHERE id = ANY($1) AND id BETWEEN $5 AND $6 AND status = 'in_progress'
    ORDER BY id
    FOR UPDATE
),
live AS MATERIALIZED (
    SELECT b.id, b.progress FROM batch b
    JOIN locked l ON l.id = b.id AND l.attempt = b.attempt AND l.token = b.token
)
UPDATE jobs j SET progress = live.progress, version = j.version + 1
FROM live
WHERE j.id = ANY(ARRAY[live.id]) AND j.status = 'in_progress' AND j.progress IS DISTINCT FROM live.progress
RETURNING j.id, j.version, j.status

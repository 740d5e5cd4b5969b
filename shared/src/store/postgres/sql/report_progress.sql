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
),
moved AS (
    UPDATE jobs j SET progress = live.progress, version = j.version + 1
    FROM live
    WHERE j.id = ANY(ARRAY[live.id]) AND j.status = 'in_progress' AND j.progress IS DISTINCT FROM live.progress
    RETURNING j.id, j.version, j.status, j.webhook_url, j.webhook_events
),
-- Of the progress that webhooks are told there is one delivery at a time, and one a second: what is sent is the job as it
-- is by then, so a delivery that waits tells of this progress too, and one that is through makes way.
told AS MATERIALIZED (
    SELECT m.id, m.version, m.webhook_url, before.version AS before, before.state,
        GREATEST(now(), before.created_at + interval '1 second') AS due_at
    FROM moved m
    LEFT JOIN LATERAL (
        SELECT d.version, d.state, d.created_at FROM deliveries d
        WHERE d.job_id = m.id AND d.event = 'job.progress'
        ORDER BY d.version DESC LIMIT 1
        -- As it is now: whoever has just told it may have waited for the job as well, and been first.
        FOR UPDATE
    ) before ON true
    WHERE 'job.progress' = ANY(m.webhook_events)
),
replaced AS (
    DELETE FROM deliveries d USING told
    WHERE d.job_id = told.id AND d.version = told.before AND told.state <> 'pending'
),
announced AS (
    INSERT INTO deliveries (job_id, version, event, receiver, created_at, next_at)
    SELECT id, version, 'job.progress', receiver_of(webhook_url), due_at, due_at
    FROM told WHERE state IS DISTINCT FROM 'pending'
    ON CONFLICT DO NOTHING
)
SELECT id, version, status FROM moved

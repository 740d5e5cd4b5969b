-- A batch, and where those of its jobs stand that have not ended. Once all have, they are not looked at.
WITH batch AS MATERIALIZED (
    SELECT * FROM batches WHERE id = $1 AND (expires_at IS NULL OR expires_at > now())
),
item AS MATERIALIZED (
    SELECT u.id FROM batch, unnest(items) AS u (id) WHERE batch.finished_at IS NULL AND u.id IS NOT NULL
),
live AS MATERIALIZED (
    SELECT id, status FROM jobs
    WHERE id = ANY(ARRAY(SELECT id FROM item))
        AND id BETWEEN (SELECT id FROM item ORDER BY id LIMIT 1) AND (SELECT id FROM item ORDER BY id DESC LIMIT 1)
        AND batch_id = $1 AND finished_at IS NULL
)
SELECT id, tenant, key, total, succeeded, failed, canceled, expired, cancel_requested_at, finished_at, expires_at,
    (SELECT count(*) FROM live WHERE status = 'scheduled')::integer AS scheduled,
    (SELECT count(*) FROM live WHERE status = 'queued')::integer AS queued,
    (SELECT count(*) FROM live WHERE status = 'in_progress')::integer AS in_progress,
    (SELECT count(*) FROM live WHERE status = 'retrying')::integer AS retrying,
    (SELECT id FROM live ORDER BY id DESC LIMIT 1) AS last_live,
    webhook_url, CASE WHEN webhook_url IS NOT NULL AND finished_at IS NOT NULL THEN (
        SELECT json_build_object(
            'state', d.state, 'attempts', d.attempts, 'last_status', d.last_status, 'changes', d.changes
        )::text
        FROM deliveries d WHERE d.job_id = batch.id AND d.version = 0
    ) END AS deliveries
FROM batch

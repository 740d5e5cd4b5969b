-- Drops the claims that a worker knows nothing of, and gives back the jobs in them, but those that run under a token that
-- it holds: the end of an earlier attempt at the same job may still be on its way.
WITH stray_leases AS MATERIALIZED (
    SELECT jobs FROM leases WHERE worker = $1 AND id <> ALL($2)
),
-- Last, after the jobs, as whoever ends jobs does it.
dropped AS (
    DELETE FROM leases WHERE worker = $1 AND id <> ALL($2)
),
strays AS MATERIALIZED (
    SELECT DISTINCT u.id FROM stray_leases, unnest(stray_leases.jobs) AS u (id)
),
locked AS MATERIALIZED (
    SELECT id FROM jobs
    WHERE id = ANY(ARRAY(SELECT id FROM strays))
        AND id BETWEEN (SELECT id FROM strays ORDER BY id LIMIT 1) AND (SELECT id FROM strays ORDER BY id DESC LIMIT 1)
        AND status = 'in_progress' AND worker = $1 AND token <> ALL($3)
    ORDER BY id
    FOR UPDATE
),
moved AS (
    UPDATE jobs SET
        status = CASE WHEN cancel_requested_at IS NULL THEN 'queued' ELSE 'canceled' END,
        version = version + 1,
        attempt = attempt - CASE WHEN cancel_requested_at IS NULL THEN 1 ELSE 0 END,
        token = NULL,
        finished_at = CASE WHEN cancel_requested_at IS NOT NULL THEN now() END,
        expires_at = CASE WHEN cancel_requested_at IS NOT NULL
            THEN now() + kept_for(retention_seconds, idempotency_key) END,
        cancel_acknowledged_at = CASE WHEN cancel_requested_at IS NOT NULL THEN now() END
    WHERE id = ANY(ARRAY(SELECT id FROM locked))
        AND id BETWEEN (SELECT id FROM locked ORDER BY id LIMIT 1) AND (SELECT id FROM locked ORDER BY id DESC LIMIT 1)
        AND status = 'in_progress' AND worker = $1
    RETURNING id, version, status, queue, kind, priority, dispatch_width, tenant, express, batch_id,
        webhook_url, webhook_events, line, deadline
),
untimed AS (
    DELETE FROM timers t
    USING (
        SELECT job_id, purpose FROM timers
        WHERE job_id = ANY(ARRAY(SELECT id FROM moved WHERE status = 'canceled')) AND purpose = 'revoke'
        FOR UPDATE SKIP LOCKED
    ) gone
    WHERE t.job_id = ANY(ARRAY(SELECT id FROM moved WHERE status = 'canceled'))
        AND t.job_id = gone.job_id AND t.purpose = gone.purpose
),
-- As in `finish_jobs.sql`.
bounded AS (
    INSERT INTO timers (job_id, purpose, due_at)
    SELECT id, 'expire', deadline FROM moved WHERE status = 'queued' AND deadline IS NOT NULL
    ON CONFLICT DO NOTHING
),
announced AS (
    INSERT INTO deliveries (job_id, version, event, receiver)
    SELECT id, version, 'job.' || status, receiver_of(webhook_url)
    FROM moved WHERE 'job.' || status = ANY(webhook_events)
    ON CONFLICT DO NOTHING
),
waiting AS (
    INSERT INTO dispatches (queue, band, kind, tenant, jobs, publish_after)
    SELECT queue, band, kind, tenant, array_agg(id ORDER BY id), now()
    FROM (
        SELECT id, queue, lane_of(priority, express) AS band, kind, tenant, dispatch_width, (row_number() OVER (
            PARTITION BY queue, lane_of(priority, express), kind, tenant, dispatch_width ORDER BY id
        ) - 1) / dispatch_width AS chunk
        FROM moved WHERE status = 'queued' AND line IS NULL
    ) w
    GROUP BY queue, band, kind, tenant, dispatch_width, chunk
),
parked AS (
    INSERT INTO parked_jobs (job_id, line, band, queue, tenant)
    SELECT id, line, lane_of(priority, express), queue, tenant FROM moved WHERE status = 'queued' AND line IS NOT NULL
)
SELECT id, version, status,
    -- Counted once for each batch, whatever came of how many of its jobs; nothing to do for those of none.
    (SELECT count_ends(array_agg(batch_id), array_agg(status)) FROM moved
        WHERE batch_id IS NOT NULL AND status = 'canceled' HAVING count(*) > 0) AS counted
FROM moved

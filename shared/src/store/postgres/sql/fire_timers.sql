-- Fires what is due. A job is updated at most once, whatever of it is due; a timer that no longer applies just goes.
WITH due AS MATERIALIZED (
    SELECT job_id, purpose FROM timers
    WHERE due_at <= now()
    ORDER BY due_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
),
wanted AS MATERIALIZED (
    SELECT job_id AS id, bool_or(purpose = 'enqueue') AS enqueue, bool_or(purpose = 'expire') AS expire,
        bool_or(purpose = 'revoke') AS revoke
    FROM due GROUP BY job_id
),
locked AS MATERIALIZED (
    SELECT id, status, started_at, deadline, cancel_requested_at FROM jobs
    WHERE id = ANY(ARRAY(SELECT id FROM wanted))
        AND id BETWEEN (SELECT id FROM wanted ORDER BY id LIMIT 1) AND (SELECT id FROM wanted ORDER BY id DESC LIMIT 1)
        AND status IN ('scheduled', 'queued', 'in_progress', 'retrying')
    ORDER BY id
    FOR UPDATE
),
-- Once a job has started its start timeout means nothing any more, but its deadline does.
later AS MATERIALIZED (
    SELECT id, deadline FROM wanted w JOIN locked l USING (id)
    WHERE w.expire AND l.started_at IS NOT NULL AND l.deadline > now()
),
put_off AS (
    UPDATE timers t SET due_at = l.deadline FROM later l WHERE t.job_id = ANY(ARRAY[l.id]) AND t.purpose = 'expire'
),
untimed AS (
    DELETE FROM timers t USING due
    WHERE t.job_id = ANY(ARRAY(SELECT job_id FROM due)) AND t.job_id = due.job_id AND t.purpose = due.purpose
        AND NOT (due.purpose = 'expire' AND due.job_id = ANY(ARRAY(SELECT id FROM later)))
),
-- domain::apply in SQL. A job whose start and last moment to start have both come did not start in time.
decided AS MATERIALIZED (
    SELECT id, CASE
        WHEN w.revoke AND l.status = 'in_progress' AND l.cancel_requested_at IS NOT NULL THEN 'canceled'
        WHEN w.expire AND l.status IN ('scheduled', 'queued') AND l.started_at IS NULL THEN 'expired'
        WHEN w.expire AND l.status IN ('queued', 'retrying') AND l.started_at IS NOT NULL AND l.deadline <= now() THEN 'failed'
        WHEN w.enqueue AND l.status IN ('scheduled', 'retrying') THEN 'queued'
    END AS status
    FROM wanted w JOIN locked l USING (id)
),
moved AS (
    UPDATE jobs j SET
        status = d.status,
        version = j.version + 1,
        token = NULL,
        next_attempt_at = NULL,
        finished_at = CASE WHEN d.status <> 'queued' THEN now() END,
        expires_at = CASE WHEN d.status <> 'queued' THEN now() + kept_for(j.retention_seconds, j.idempotency_key) END,
        error = CASE WHEN d.status = 'failed' THEN COALESCE(
            -- The error of its last failed attempt, and why there is no other one.
            (SELECT jsonb_set(e, '{message}', to_jsonb(e ->> 'message' || ' (its deadline leaves no time for another attempt)'))
                FROM (SELECT j.attempts[cardinality(j.attempts)]::jsonb -> 'error') AS last (e))::text,
            json_build_object(
                'code', CASE WHEN j.crashes > 0 THEN 'worker-lost' ELSE 'handler-error' END,
                'message', CASE WHEN j.crashes > 0 THEN 'the worker died while it ran this' ELSE 'put off or given back' END
                    || ', and its deadline leaves no time for another attempt',
                'retryable', true,
                'attempt', j.attempt + 1
            )::text
        ) ELSE j.error END
    FROM decided d
    WHERE j.id = ANY(ARRAY[d.id]) AND d.status IS NOT NULL
    RETURNING j.id, j.version, j.status, j.queue, j.kind, j.priority, j.dispatch_width, j.tenant, j.express, j.batch_id,
        j.webhook_url, j.webhook_events, j.line
),
-- One that expires, fails or is revoked has nothing to wait for any more. Skipped: firing elsewhere, where it just goes.
untimed_ends AS (
    DELETE FROM timers t
    USING (
        SELECT o.job_id, o.purpose FROM timers o
        WHERE o.job_id = ANY(ARRAY(SELECT id FROM moved WHERE status <> 'queued'))
            AND NOT EXISTS (SELECT FROM due WHERE due.job_id = o.job_id AND due.purpose = o.purpose)
        FOR UPDATE SKIP LOCKED
    ) gone
    WHERE t.job_id = ANY(ARRAY(SELECT id FROM moved WHERE status <> 'queued'))
        AND t.job_id = gone.job_id AND t.purpose = gone.purpose
),
announced AS (
    INSERT INTO deliveries (job_id, version, event, receiver)
    SELECT id, version, 'job.' || status, receiver_of(webhook_url)
    FROM moved WHERE 'job.' || status = ANY(webhook_events)
    ON CONFLICT DO NOTHING
),
waiting AS (
    INSERT INTO dispatches (queue, band, kind, tenant, jobs)
    SELECT queue, band, kind, tenant, array_agg(id ORDER BY id)
    FROM (
        SELECT id, queue, lane_of(priority, express) AS band, kind, tenant, dispatch_width, (row_number() OVER (
            PARTITION BY queue, lane_of(priority, express), kind, tenant, dispatch_width ORDER BY id
        ) - 1) / dispatch_width AS chunk
        FROM moved WHERE status = 'queued' AND line IS NULL
    ) w
    GROUP BY queue, band, kind, tenant, dispatch_width, chunk
    RETURNING id, queue, band, kind, jobs
),
parked AS (
    INSERT INTO parked_jobs (job_id, line, band, queue, tenant)
    SELECT id, line, lane_of(priority, express), queue, tenant FROM moved WHERE status = 'queued' AND line IS NOT NULL
)
SELECT id AS job, version, status, NULL::bigint AS dispatch, NULL::text AS queue, NULL::smallint AS band,
    NULL::text AS kind, NULL::uuid[] AS jobs, NULL::bigint AS taken,
    -- Counted once for each batch, whatever came of how many of its jobs; nothing to do for those of none.
    (SELECT count_ends(array_agg(batch_id), array_agg(status)) FROM moved
        WHERE batch_id IS NOT NULL AND status <> 'queued' HAVING count(*) > 0) AS counted
FROM moved
UNION ALL
SELECT NULL, NULL, NULL, id, queue, band, kind, jobs, NULL, NULL FROM waiting
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, count(*), NULL FROM due

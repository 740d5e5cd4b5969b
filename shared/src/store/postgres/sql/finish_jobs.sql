-- Records how attempts ended, each only if it is still the one that the worker claims it to be.
WITH batch AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::uuid[], $2::integer[], $3::uuid[], $4::uuid[], $5::text[],
        $6::bytea[], $7::text[], $8::bytea[], $9::text[], $10::bigint[],
        $14::text[]
    ) AS b (id, attempt, token, worker, ended, result, result_type, result_digest, error, delay_ms, result_blob)
),
unleased AS (
    DELETE FROM leases WHERE id = ANY($11)
),
locked AS MATERIALIZED (
    SELECT id, attempt, token, worker, max_attempts, cancel_requested_at FROM jobs
    WHERE id = ANY($1) AND id BETWEEN $12 AND $13 AND status = 'in_progress'
    ORDER BY id
    FOR UPDATE
),
-- domain::apply in SQL: once a cancel was asked for, the end of the attempt is the cancel, whatever was made of it.
decided AS MATERIALIZED (
    SELECT b.*, CASE
        WHEN l.cancel_requested_at IS NOT NULL THEN 'canceled'
        WHEN b.ended = 'succeed' THEN 'succeeded'
        WHEN b.ended = 'fail' THEN 'failed'
        WHEN b.ended = 'retry' AND l.attempt >= l.max_attempts THEN 'failed'
        WHEN b.ended IN ('retry', 'snooze') THEN 'retrying'
        WHEN b.ended = 'release' THEN 'queued'
    END AS status
    FROM batch b
    JOIN locked l ON l.id = b.id AND l.attempt = b.attempt AND l.token = b.token AND l.worker = b.worker
),
ended AS (
    UPDATE jobs j SET
        status = d.status,
        version = j.version + 1,
        attempt = j.attempt - CASE WHEN d.ended IN ('snooze', 'release') AND d.status <> 'canceled' THEN 1 ELSE 0 END,
        next_attempt_at = CASE WHEN d.status = 'retrying' THEN now() + d.delay_ms * interval '1 millisecond' END,
        finished_at = CASE WHEN d.status IN ('succeeded', 'failed', 'canceled') THEN now() END,
        expires_at = CASE WHEN d.status IN ('succeeded', 'failed', 'canceled')
            THEN now() + kept_for(j.retention_seconds, j.idempotency_key) END,
        cancel_acknowledged_at = CASE WHEN d.status = 'canceled' THEN now() END,
        result = CASE WHEN d.status = 'succeeded' THEN d.result END,
        result_blob = CASE WHEN d.status = 'succeeded' THEN d.result_blob END,
        result_type = CASE WHEN d.status = 'succeeded' THEN d.result_type END,
        result_digest = CASE WHEN d.status = 'succeeded' THEN d.result_digest END,
        error = CASE WHEN d.status = 'failed' THEN d.error END,
        attempts = CASE WHEN d.status IN ('failed', 'retrying') AND d.error IS NOT NULL
            THEN j.attempts || failed_attempt(j.started_at, now(), j.worker, d.error) ELSE j.attempts END
    FROM decided d
    WHERE j.id = ANY(ARRAY[d.id]) AND j.status = 'in_progress'
    RETURNING j.id, j.version, j.status, j.queue, j.kind, j.priority, j.dispatch_width, j.tenant, j.express,
        j.next_attempt_at, j.batch_id, j.webhook_url, j.webhook_events, j.line
),
timed AS (
    INSERT INTO timers (job_id, purpose, due_at)
    SELECT id, 'enqueue', next_attempt_at FROM ended WHERE status = 'retrying'
    ON CONFLICT (job_id, purpose) DO UPDATE SET due_at = excluded.due_at
),
announced AS (
    INSERT INTO deliveries (job_id, version, event, receiver)
    SELECT id, version, 'job.' || status, receiver_of(webhook_url)
    FROM ended WHERE 'job.' || status = ANY(webhook_events)
    ON CONFLICT DO NOTHING
),
waiting AS (
    INSERT INTO dispatches (queue, band, kind, tenant, jobs, publish_after)
    SELECT queue, band, kind, tenant, array_agg(id ORDER BY id), now()
    FROM (
        SELECT id, queue, lane_of(priority, express) AS band, kind, tenant, dispatch_width, (row_number() OVER (
            PARTITION BY queue, lane_of(priority, express), kind, tenant, dispatch_width ORDER BY id
        ) - 1) / dispatch_width AS chunk
        FROM ended WHERE status = 'queued' AND line IS NULL
    ) w
    GROUP BY queue, band, kind, tenant, dispatch_width, chunk
),
parked AS (
    INSERT INTO parked_jobs (job_id, line, band, queue, tenant)
    SELECT id, line, lane_of(priority, express), queue, tenant FROM ended WHERE status = 'queued' AND line IS NOT NULL
)
SELECT id, version, status,
    -- Counted once for each batch, whatever came of how many of its jobs; nothing to do for those of none.
    (SELECT count_ends(array_agg(batch_id), array_agg(status)) FROM ended
        WHERE batch_id IS NOT NULL AND status IN ('succeeded', 'failed', 'canceled') HAVING count(*) > 0) AS counted
FROM ended

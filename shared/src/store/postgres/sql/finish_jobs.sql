-- Records how attempts ended, each only if it is still the one that the worker claims it to be.
--
-- Of parts (`parts.rs`): `mixed` if any attempt ended otherwise than well or its result is a blob, `again` if any ended such
-- that its job may go on.
WITH batch AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::uuid[], $2::integer[], $3::uuid[], $4::uuid[], $5::bytea[], $6::text[], $7::bytea[]
        -- if mixed
        , $11::text[], $12::text[], $13::bigint[], $14::text[]
        -- end
    ) AS b (
        id, attempt, token, worker, result, result_type, result_digest
        -- if mixed
        , ended, error, delay_ms, result_blob
        -- end
    )
),
unleased AS (
    DELETE FROM leases WHERE id = ANY($8)
),
-- In order of id, as every statement that takes several jobs: that of the index, and the batch is given in it, so that it is
-- the same whatever way they are joined.
ended AS (
    UPDATE jobs j SET
        -- if mixed
        (
            status, version, attempt, next_attempt_at, finished_at, expires_at, cancel_acknowledged_at,
            result, result_blob, result_type, result_digest, error, attempts
        ) = (
            SELECT
                d.status,
                j.version + 1,
                j.attempt - CASE WHEN b.ended IN ('snooze', 'release') AND d.status <> 'canceled' THEN 1 ELSE 0 END,
                CASE WHEN d.status = 'retrying' THEN now() + b.delay_ms * interval '1 millisecond' END,
                CASE WHEN d.status IN ('succeeded', 'failed', 'canceled') THEN now() END,
                CASE WHEN d.status IN ('succeeded', 'failed', 'canceled')
                    THEN now() + kept_for(j.retention_seconds, j.idempotency_key) END,
                CASE WHEN d.status = 'canceled' THEN now() END,
                CASE WHEN d.status = 'succeeded' THEN b.result END,
                CASE WHEN d.status = 'succeeded' THEN b.result_blob END,
                CASE WHEN d.status = 'succeeded' THEN b.result_type END,
                CASE WHEN d.status = 'succeeded' THEN b.result_digest END,
                CASE WHEN d.status = 'failed' THEN b.error END,
                CASE WHEN d.status IN ('failed', 'retrying') AND b.error IS NOT NULL
                    THEN j.attempts || failed_attempt(j.started_at, now(), j.worker, b.error) ELSE j.attempts END
            -- domain::apply in SQL: once a cancel was asked for, the end of the attempt is the cancel, whatever was made of it.
            FROM (
                SELECT CASE
                    WHEN j.cancel_requested_at IS NOT NULL THEN 'canceled'
                    WHEN b.ended = 'succeed' THEN 'succeeded'
                    WHEN b.ended = 'fail' THEN 'failed'
                    WHEN b.ended = 'retry' AND j.attempt >= j.max_attempts THEN 'failed'
                    WHEN b.ended IN ('retry', 'snooze') THEN 'retrying'
                    WHEN b.ended = 'release' THEN 'queued'
                END AS status
                -- OFFSET: found out once, not once for each column.
                OFFSET 0
            ) d
        )
        -- else
        -- The same of those that went well, without a subquery for each row.
        status = CASE WHEN j.cancel_requested_at IS NULL THEN 'succeeded' ELSE 'canceled' END,
        version = j.version + 1,
        next_attempt_at = NULL,
        finished_at = now(),
        expires_at = now() + kept_for(j.retention_seconds, j.idempotency_key),
        cancel_acknowledged_at = CASE WHEN j.cancel_requested_at IS NOT NULL THEN now() END,
        result = CASE WHEN j.cancel_requested_at IS NULL THEN b.result END,
        result_blob = NULL,
        result_type = CASE WHEN j.cancel_requested_at IS NULL THEN b.result_type END,
        result_digest = CASE WHEN j.cancel_requested_at IS NULL THEN b.result_digest END,
        error = NULL
        -- end
    FROM batch b
    WHERE j.id = b.id AND j.id = ANY($1) AND j.id BETWEEN $9 AND $10 AND j.status = 'in_progress'
        AND j.attempt = b.attempt AND j.token = b.token AND j.worker = b.worker
    RETURNING j.id, j.version, j.status, j.batch_id, j.webhook_url, j.webhook_events
        -- if again
        , j.queue, j.kind, j.priority, j.dispatch_width, j.tenant, j.express, j.next_attempt_at, j.line, j.deadline
        -- end
),
-- if again
timed AS (
    INSERT INTO timers (job_id, purpose, due_at)
    SELECT id, 'enqueue', next_attempt_at FROM ended WHERE status = 'retrying'
    ON CONFLICT (job_id, purpose) DO UPDATE SET due_at = excluded.due_at
),
-- No attempt starts after the deadline. A timer that is there stays: it is of the start timeout or the deadline, and put off
-- to the deadline should it be of the former. (DO UPDATE would wait for whoever fires it, who may wait for this job.)
bounded AS (
    INSERT INTO timers (job_id, purpose, due_at)
    SELECT id, 'expire', deadline FROM ended WHERE status IN ('queued', 'retrying') AND deadline IS NOT NULL
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
),
-- end
announced AS (
    INSERT INTO deliveries (job_id, version, event, receiver)
    SELECT id, version, 'job.' || status, receiver_of(webhook_url)
    FROM ended WHERE 'job.' || status = ANY(webhook_events)
    ON CONFLICT DO NOTHING
)
SELECT id, version, status,
    -- Counted once for each batch, whatever came of how many of its jobs; nothing to do for those of none.
    (SELECT count_ends(array_agg(batch_id), array_agg(status)) FROM ended
        WHERE batch_id IS NOT NULL AND status IN ('succeeded', 'failed', 'canceled') HAVING count(*) > 0) AS counted
FROM ended

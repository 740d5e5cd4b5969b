-- Cancels what of a batch waits, and notes that running handlers are to be asked and until when they may take. As
-- `cancel_job.sql`, of many jobs: locked in the order of their ids, and judged by the rows that were locked.
WITH item AS MATERIALIZED (
    SELECT u.id FROM batches, unnest(items) AS u (id)
    WHERE batches.id = $1 AND tenant = $4 AND finished_at IS NULL AND u.id IS NOT NULL
),
job AS MATERIALIZED (
    SELECT id, status, cancel_requested_at FROM jobs
    WHERE id = ANY(ARRAY(SELECT id FROM item))
        AND id BETWEEN (SELECT id FROM item ORDER BY id LIMIT 1) AND (SELECT id FROM item ORDER BY id DESC LIMIT 1)
        AND batch_id = $1 AND status IN ('scheduled', 'queued', 'retrying', 'in_progress')
    ORDER BY id
    FOR UPDATE
),
canceled AS (
    UPDATE jobs j SET
        status = 'canceled',
        version = j.version + 1,
        cancel_requested_at = now(),
        cancel_acknowledged_at = now(),
        cancel_reason = $2,
        next_attempt_at = NULL,
        finished_at = now(),
        expires_at = now() + kept_for(j.retention_seconds, j.idempotency_key)
    FROM job
    WHERE j.id = ANY(ARRAY[job.id]) AND job.status IN ('scheduled', 'queued', 'retrying')
    RETURNING j.id, j.version, j.status, j.batch_id, j.webhook_url, j.webhook_events
),
announced AS (
    INSERT INTO deliveries (job_id, version, event, receiver)
    SELECT id, version, 'job.' || status, receiver_of(webhook_url)
    FROM canceled WHERE 'job.' || status = ANY(webhook_events)
    ON CONFLICT DO NOTHING
),
asked AS (
    UPDATE jobs j SET version = j.version + 1, cancel_requested_at = now(), cancel_reason = $2
    FROM job
    WHERE j.id = ANY(ARRAY[job.id]) AND job.status = 'in_progress' AND job.cancel_requested_at IS NULL
    RETURNING j.id, j.version, j.status, j.worker
),
revoked_later AS (
    INSERT INTO timers (job_id, purpose, due_at, worker)
    SELECT id, 'revoke', now() + make_interval(secs => $3), worker FROM asked
    ON CONFLICT DO NOTHING
),
-- An upstream that ends its attempt itself cannot be asked: whoever looks for dead workers next takes it for one.
unawaited AS (
    UPDATE workers w SET ttl = interval '0' FROM asked WHERE w.id = ANY(ARRAY[asked.worker]) AND w.awaits_upstream
),
-- A timer that is firing just now goes anyway; to wait for it could be a deadlock, since it waits for the job.
untimed AS (
    DELETE FROM timers t
    USING (
        SELECT job_id, purpose FROM timers WHERE job_id = ANY(ARRAY(SELECT id FROM canceled)) FOR UPDATE SKIP LOCKED
    ) gone
    WHERE t.job_id = ANY(ARRAY(SELECT id FROM canceled)) AND t.job_id = gone.job_id AND t.purpose = gone.purpose
)
SELECT id, version, status,
    (SELECT count_ends(array_agg(batch_id), array_agg(status)) FROM canceled HAVING count(*) > 0) AS counted
FROM canceled
UNION ALL
SELECT id, version, status, NULL FROM asked

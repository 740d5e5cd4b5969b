-- Cancels a job that waits, or notes that its running handler is to be asked and until when it may take.
-- Judged by the row that was locked, which can be newer than what the statement's snapshot shows.
WITH job AS MATERIALIZED (
    SELECT id, status, version, worker, cancel_requested_at
    FROM jobs
    WHERE id = $1 AND COALESCE(tenant, 'default') = $4 AND (expires_at IS NULL OR expires_at > now())
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
    WHERE j.id = $1 AND j.id = job.id AND job.status IN ('scheduled', 'queued', 'retrying')
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
    WHERE j.id = $1 AND j.id = job.id AND job.status = 'in_progress' AND job.cancel_requested_at IS NULL
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
    USING (SELECT job_id, purpose FROM timers WHERE job_id = $1 AND EXISTS (SELECT FROM canceled) FOR UPDATE SKIP LOCKED) gone
    WHERE t.job_id = $1 AND t.job_id = gone.job_id AND t.purpose = gone.purpose
)
SELECT job.id, job.status AS found, COALESCE(c.status, a.status) AS status,
    COALESCE(c.version, a.version, job.version) AS version,
    (SELECT count_ends(array_agg(batch_id), array_agg(canceled.status)) FROM canceled
        WHERE batch_id IS NOT NULL HAVING count(*) > 0) AS counted
FROM job
LEFT JOIN canceled c ON c.id = job.id
LEFT JOIN asked a ON a.id = job.id

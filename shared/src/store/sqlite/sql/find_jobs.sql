SELECT
    CASE WHEN status = 'in_progress' THEN (SELECT w.heartbeat_at FROM workers w WHERE w.id = jobs.worker) END AS heartbeat_at,
    id, kind, queue, priority, status, version, attempt, max_attempts, worker, run_at, next_attempt_at, started_at,
    finished_at, expires_at, erased_at, deadline, run_timeout_ms, retention_seconds, cancel_requested_at, cancel_reason,
    cancel_acknowledged_at, progress, error, attempts, metadata, tags, idempotency_key, traceparent, retry_of, batch_id,
    tenant, concurrency_key, result_type, result_digest, result_blob, length(result) AS result_size,
    CASE WHEN length(result) <= ?2 THEN result END AS inline,
    webhook_url, webhook_events, CASE WHEN webhook_url IS NOT NULL THEN (
        SELECT json_object('state', state, 'attempts', attempts, 'last_status', last_status, 'changes', (
            SELECT sum(changes) FROM deliveries WHERE job_id = jobs.id AND version > 0))
        FROM deliveries WHERE job_id = jobs.id AND version > 0 ORDER BY version DESC LIMIT 1
    ) END AS deliveries
FROM jobs
WHERE id IN (SELECT unhex(value) FROM json_each(?1)) AND (expires_at IS NULL OR expires_at > ?3)

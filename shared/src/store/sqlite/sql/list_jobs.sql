SELECT
    NULL AS heartbeat_at,
    id, kind, queue, priority, status, version, attempt, max_attempts, worker, run_at, next_attempt_at, started_at,
    finished_at, expires_at, erased_at, deadline, run_timeout_ms, retention_seconds, cancel_requested_at, cancel_reason,
    cancel_acknowledged_at, progress, error, attempts, metadata, tags, idempotency_key, traceparent, retry_of, batch_id,
    tenant, concurrency_key, result_type, result_digest, result_blob, length(result) AS result_size, NULL AS inline,
    webhook_url, webhook_events, CASE WHEN webhook_url IS NOT NULL THEN (
        SELECT json_object('state', state, 'attempts', attempts, 'last_status', last_status, 'changes', (
            SELECT sum(changes) FROM deliveries WHERE job_id = jobs.id))
        FROM deliveries WHERE job_id = jobs.id ORDER BY version DESC LIMIT 1
    ) END AS deliveries
FROM jobs
WHERE id < ?1 AND id >= ?2
    AND (?3 IS NULL OR id = ?3)
    AND (?4 IS NULL OR status IN (SELECT value FROM json_each(?4)))
    AND (?5 IS NULL OR kind = ?5)
    AND (?6 IS NULL OR queue = ?6)
    AND (?7 IS NULL OR NOT EXISTS (
        SELECT 1 FROM json_each(?7) AS wanted
        WHERE NOT EXISTS (SELECT 1 FROM json_each(jobs.tags) AS had WHERE had.value = wanted.value)))
    AND (?10 IS NULL OR NOT EXISTS (
        SELECT 1 FROM json_each(?10) AS wanted
        WHERE NOT EXISTS (
            SELECT 1 FROM json_each(coalesce(jobs.metadata, '{}')) AS had
            WHERE had.key = wanted.key AND had.value = wanted.value)))
    AND (expires_at IS NULL OR expires_at > ?8)
    AND COALESCE(tenant, 'default') = ?11
    AND (?12 IS NULL OR json_extract(error, '$.code') = ?12)
    AND (NOT ?13 OR retried_by IS NULL)
    AND (?14 IS NULL OR id >= ?14)
ORDER BY id DESC
LIMIT ?9

UPDATE jobs SET
    status = 'in_progress',
    version = version + 1,
    attempt = attempt + 1,
    worker = ?2,
    token = ?3,
    started_at = ?4,
    progress = NULL
WHERE id = ?1 AND status = 'queued'
RETURNING kind, queue, version, attempt, max_attempts, crashes, run_timeout_ms, deadline, traceparent, tenant, input_type, input,
    input_blob, webhook_url, webhook_events

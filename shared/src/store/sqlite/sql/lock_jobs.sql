-- As much of jobs as decides what may happen to them. Only the writer asks, so nothing changes until it has written.
SELECT id, kind, queue, priority, status, version, attempt, max_attempts, crashes, worker, token, started_at, deadline,
    finished_at, expires_at, cancel_requested_at IS NOT NULL AS cancel_requested, retention_seconds,
    dispatch_width, batch_id, idempotency_key IS NOT NULL AS has_key, tenant, express, line, webhook_url, webhook_events
FROM jobs
WHERE id IN (SELECT unhex(value) FROM json_each(?1))

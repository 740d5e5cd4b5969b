-- Jobs without their inputs; results come along when they are JSON or text and short enough.
SELECT
    CASE WHEN status = 'in_progress' THEN (SELECT w.heartbeat_at FROM workers w WHERE w.id = jobs.worker) END AS heartbeat_at,
    id, kind, queue, priority, version, status, attempt, max_attempts, run_at, started_at, finished_at,
    next_attempt_at, expires_at, erased_at, deadline, run_timeout_ms, retention_seconds, worker, progress,
    cancel_requested_at, cancel_reason, cancel_acknowledged_at,
    result_type, result_digest, result_blob, octet_length(result)::bigint AS result_size,
    CASE WHEN octet_length(result) <= $4::bigint AND (
        btrim(lower(split_part(result_type, ';', 1))) = 'application/json'
        OR btrim(lower(split_part(result_type, ';', 1))) LIKE '%+json'
        OR btrim(lower(split_part(result_type, ';', 1))) LIKE 'text/%'
    ) THEN result END AS result,
    error, attempts, metadata, tags, idempotency_key, concurrency_key, traceparent, retry_of, batch_id, tenant,
    webhook_url, webhook_events, CASE WHEN webhook_url IS NOT NULL THEN (
        SELECT json_build_object(
            'state', (array_agg(d.state ORDER BY d.version DESC))[1],
            'attempts', (array_agg(d.attempts ORDER BY d.version DESC))[1],
            'last_status', (array_agg(d.last_status ORDER BY d.version DESC))[1],
            'changes', sum(d.changes)
        )::text
        FROM deliveries d WHERE d.job_id = jobs.id AND d.version > 0 HAVING count(*) > 0
    ) END AS deliveries
FROM jobs
WHERE id = ANY($1) AND id BETWEEN $2 AND $3 AND (expires_at IS NULL OR expires_at > now())

INSERT INTO jobs (
    id, kind, queue, priority, status, max_attempts, run_at, deadline, run_timeout_ms, retention_seconds,
    dispatch_width, input_type, metadata, tags, idempotency_key, traceparent, input, retry_of,
    batch_id, tenant, express, webhook_url, webhook_events, input_blob, concurrency_key, line)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
    ?24, ?25, ?26)

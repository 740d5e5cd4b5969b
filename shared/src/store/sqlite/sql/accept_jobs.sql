-- Keeps new jobs that are alike: what they share is given once. Their ids (?1) and inputs (?22) come one after the other; ?23 has a
-- list for each: where its input begins, how long it is, and what else is its own.
INSERT INTO jobs (
    id, kind, queue, priority, status, max_attempts, run_at, deadline, run_timeout_ms, retention_seconds,
    dispatch_width, input_type, retry_of, batch_id, tenant, express, webhook_url, webhook_events, input_blob,
    concurrency_key, line, input, metadata, tags, idempotency_key, traceparent)
SELECT
    substr(?1, 1 + 16 * key, 16), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
    -- of inputs that are all empty there is no part
    coalesce(substr(?22, value ->> 0, value ->> 1), x''),
    value ->> 2, value ->> 3, value ->> 4, value ->> 5
FROM json_each(?23)

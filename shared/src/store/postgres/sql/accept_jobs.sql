-- Keeps a batch of new jobs: keys first, then the jobs whose key was won or that have none, then what makes them wait.
-- One statement, so one commit and one round trip. Answers one row for each dispatch, and without an id one
-- that lists the scheduled jobs and one for those that wait for a permit. A job in no row lost its key to another.
WITH batch AS MATERIALIZED (
    SELECT b.*, CASE WHEN b.run_at > now() THEN 'scheduled' ELSE 'queued' END AS status
    -- Set before anything can block: how long to wait for a key that another open transaction has inserted.
    FROM set_config('lock_timeout', $20, true), unnest(
        $1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::bytea[], $6::text[], $7::timestamptz[],
        $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::integer[], $12::bigint[], $13::text[], $14::text[],
        $15::text[], $16::bytea[], $17::text[], $18::integer[], $19::integer[], $21::uuid[], $22::uuid[], $23::text[],
        $24::smallint[], $25::bigint[], $26::text[],
        $27::text[], $28::text[], $29::text[], $30::text[]
    ) AS b (
        id, kind, queue, priority, input, input_type, run_at,
        expire_at, deadline, run_timeout_ms, max_attempts, retention_seconds, metadata, tags,
        key, fingerprint, traceparent, dispatch_width, chunk, retry_of, batch_id, tenant, band,
        input_kept_seconds, webhook_url, webhook_events, input_blob, concurrency_key, line
    )
),
won AS (
    INSERT INTO idempotency_keys (key, tenant, job_id, fingerprint)
    -- In order of the key: two batches with the same keys wait for one another, but never in a circle.
    SELECT key, COALESCE(tenant, 'default'), id, fingerprint FROM batch WHERE key IS NOT NULL ORDER BY key, tenant
    ON CONFLICT DO NOTHING
    RETURNING job_id
),
fresh AS MATERIALIZED (
    SELECT * FROM batch WHERE key IS NULL OR id IN (SELECT job_id FROM won)
),
kept AS (
    INSERT INTO jobs (
        id, kind, queue, priority, input, input_type, run_at, deadline, run_timeout_ms, max_attempts,
        retention_seconds, metadata, tags, idempotency_key, traceparent, dispatch_width, status, retry_of, batch_id,
        tenant, express, webhook_url, webhook_events, input_blob, concurrency_key, line
    )
    SELECT
        id, kind, queue, priority, input, input_type, run_at, deadline, run_timeout_ms, max_attempts,
        retention_seconds, metadata, tags::text[], key, traceparent, dispatch_width, status, retry_of, batch_id,
        tenant, band = 3, webhook_url, webhook_events::text[], input_blob, concurrency_key, line
    FROM fresh
),
timed AS (
    INSERT INTO timers (job_id, purpose, due_at)
    SELECT id, 'enqueue', run_at FROM fresh WHERE status = 'scheduled'
    UNION ALL
    SELECT id, 'expire', expire_at FROM fresh WHERE expire_at IS NOT NULL
),
-- inputs that are to go before their jobs
erased_later AS (
    INSERT INTO erasures (job_id, keep_seconds, look_at)
    SELECT id, input_kept_seconds, now() + make_interval(secs => input_kept_seconds)
    FROM fresh WHERE input_kept_seconds IS NOT NULL
),
waiting AS (
    INSERT INTO dispatches (queue, band, kind, tenant, jobs)
    SELECT min(queue), min(band), min(kind), min(tenant), array_agg(id ORDER BY id)
    FROM fresh WHERE status = 'queued' AND line IS NULL
    GROUP BY chunk
    ORDER BY chunk
    RETURNING id, jobs
),
parked AS (
    INSERT INTO parked_jobs (job_id, line, band, queue, tenant)
    SELECT id, line, band, queue, tenant FROM fresh WHERE status = 'queued' AND line IS NOT NULL
)
SELECT id, jobs, 'queued' AS status FROM waiting
UNION ALL
SELECT NULL, array_agg(id), status FROM fresh WHERE status = 'scheduled' OR line IS NOT NULL GROUP BY status

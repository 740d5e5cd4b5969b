-- Keeps a batch of new jobs: keys first, then the jobs whose key was won or that have none, then what makes them wait.
-- One statement, so one commit and one round trip. Answers one row for each dispatch, and without an id one
-- that lists the scheduled jobs and one for those that wait for a permit. A job in no row lost its key to another.
--
-- Most batches go through `accept_alike_jobs.sql` instead. What changes here for jobs without extras changes there too.
--
-- Of parts (`parts.rs`): `keys` if any job has a key, `extras` if any has more to it than kind, input and bounds.
WITH batch AS MATERIALIZED (
    SELECT b.*,
        -- if extras
        CASE WHEN b.run_at > now() THEN 'scheduled' ELSE 'queued' END AS status
        -- else
        'queued' AS status
        -- end
    FROM
        -- if keys
        -- Set before anything can block: how long to wait for a key that another open transaction has inserted.
        set_config('lock_timeout', $18, true),
        -- end
        unnest(
            $1::uuid[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::smallint[], $7::integer[], $8::integer[],
            $9::bytea[], $10::text[], $11::bigint[], $12::integer[], $13::bigint[], $14::timestamptz[], $15::text[]
            -- if keys
            , $16::text[], $17::bytea[]
            -- end
            -- if extras
            , $19::timestamptz[], $20::timestamptz[], $21::text[], $22::text[], $23::uuid[], $24::uuid[], $25::bigint[],
            $26::text[], $27::text[], $28::text[], $29::text[], $30::text[]
            -- end
        ) AS b (
            id, tenant, kind, queue, priority, band, dispatch_width, chunk,
            input, input_type, run_timeout_ms, max_attempts, retention_seconds, deadline, traceparent
            -- if keys
            , key, fingerprint
            -- end
            -- if extras
            , run_at, expire_at, metadata, tags, retry_of, batch_id, input_kept_seconds,
            webhook_url, webhook_events, input_blob, concurrency_key, line
            -- end
        )
),
-- if keys
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
-- else
fresh AS (
    SELECT * FROM batch
),
-- end
kept AS (
    INSERT INTO jobs (
        id, tenant, kind, queue, priority, express, dispatch_width, status,
        input, input_type, run_timeout_ms, max_attempts, retention_seconds, deadline, traceparent
        -- if keys
        , idempotency_key
        -- end
        -- if extras
        , run_at, metadata, tags, retry_of, batch_id, webhook_url, webhook_events, input_blob, concurrency_key, line
        -- end
    )
    SELECT
        id, tenant, kind, queue, priority, band = 3, dispatch_width, status,
        input, input_type, run_timeout_ms, max_attempts, retention_seconds, deadline, traceparent
        -- if keys
        , key
        -- end
        -- if extras
        , run_at, metadata, tags::text[], retry_of, batch_id, webhook_url, webhook_events::text[], input_blob,
        concurrency_key, line
        -- end
    FROM fresh
),
-- if extras
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
parked AS (
    INSERT INTO parked_jobs (job_id, line, band, queue, tenant)
    SELECT id, line, band, queue, tenant FROM fresh WHERE status = 'queued' AND line IS NOT NULL
),
-- end
waiting AS (
    INSERT INTO dispatches (queue, band, kind, tenant, jobs)
    SELECT min(queue), min(band), min(kind), min(tenant), array_agg(id ORDER BY id)
    FROM fresh
    -- if extras
    WHERE status = 'queued' AND line IS NULL
    -- end
    GROUP BY chunk
    ORDER BY chunk
    RETURNING id, jobs
)
SELECT id, jobs, 'queued' AS status FROM waiting
-- if extras
UNION ALL
SELECT NULL, array_agg(id), status FROM fresh WHERE status = 'scheduled' OR line IS NOT NULL GROUP BY status
-- end

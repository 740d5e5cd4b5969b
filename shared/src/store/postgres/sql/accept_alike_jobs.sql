-- Keeps a batch of new jobs that differ in id, input, trace and key only, all of them with keys or all without, and wait for
-- nothing but a worker: what `accept_jobs.sql` does, for what most batches are. What the jobs share is given once, not once
-- for each. Answers one row for each dispatch. A job in no row lost its key to another.
--
-- Of parts (`parts.rs`): `keys` if the jobs have keys.
WITH
-- if keys
won AS (
    INSERT INTO idempotency_keys (key, tenant, job_id, fingerprint)
    SELECT key, COALESCE($5::text, 'default'), id, fingerprint
    FROM
        -- Set before anything can block: how long to wait for a key that another open transaction has inserted.
        set_config('lock_timeout', $17, true),
        unnest($1::uuid[], $15::text[], $16::bytea[]) AS b (id, key, fingerprint)
    -- In order of the key: two batches with the same keys wait for one another, but never in a circle.
    ORDER BY key
    ON CONFLICT DO NOTHING
    RETURNING job_id
),
fresh AS MATERIALIZED (
    SELECT array_agg(job_id ORDER BY job_id) AS ids FROM won
),
-- else
fresh AS (
    -- given in order
    SELECT $1::uuid[] AS ids
),
-- end
kept AS (
    INSERT INTO jobs (
        id, tenant, kind, queue, priority, express, dispatch_width, status,
        input, input_type, run_timeout_ms, max_attempts, retention_seconds, traceparent
        -- if keys
        , idempotency_key
        -- end
    )
    SELECT
        id, $5::text, $6::text, $7::text, $8::smallint, $9::smallint = 3, $10::integer, 'queued',
        input, $11::text, $12::bigint, $13::integer, $14::bigint, traceparent
    -- if keys
        , key
    FROM unnest($1::uuid[], $2::bytea[], $3::text[], $15::text[]) AS b (id, input, traceparent, key)
    WHERE id IN (SELECT job_id FROM won)
    -- else
    FROM unnest($1::uuid[], $2::bytea[], $3::text[]) AS b (id, input, traceparent)
    -- end
),
waiting AS (
    INSERT INTO dispatches (queue, band, kind, tenant, jobs)
    -- From one in so many on as a dispatch holds at most. The last places are empty if keys were lost.
    SELECT $7::text, $9::smallint, $6::text, $5::text, ids[first : first + least($10::integer, cardinality(ids)) - 1]
    FROM fresh, unnest($4::integer[]) AS d (first)
    WHERE first <= cardinality(ids)
    RETURNING id, jobs
)
SELECT id, jobs, 'queued' AS status FROM waiting

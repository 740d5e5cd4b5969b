-- Keeps a batch of new jobs that differ in id, input and trace only, have no keys and wait for nothing but a worker: what
-- `accept_jobs.sql` does, for what most batches are. What the jobs share is given once, not once for each.
-- Answers one row for each dispatch.
WITH kept AS (
    INSERT INTO jobs (
        id, tenant, kind, queue, priority, express, dispatch_width, status,
        input, input_type, run_timeout_ms, max_attempts, retention_seconds, traceparent
    )
    SELECT
        id, $5::text, $6::text, $7::text, $8::smallint, $9::smallint = 3, $10::integer, 'queued',
        input, $11::text, $12::bigint, $13::integer, $14::bigint, traceparent
    FROM unnest($1::uuid[], $2::bytea[], $3::text[]) AS b (id, input, traceparent)
),
waiting AS (
    INSERT INTO dispatches (queue, band, kind, tenant, jobs)
    -- The ids are given in order; these are the places of each dispatch's first.
    SELECT $7::text, $9::smallint, $6::text, $5::text,
        ($1::uuid[])[first : first + least($10::integer, cardinality($1::uuid[])) - 1]
    FROM unnest($4::integer[]) AS d (first)
    RETURNING id, jobs
)
SELECT id, jobs, 'queued' AS status FROM waiting

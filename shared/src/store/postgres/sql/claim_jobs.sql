-- Takes the jobs of the given dispatches that still wait and whose deadline has not passed, and clears the dispatches.
WITH cleared AS (
    DELETE FROM dispatches WHERE id = ANY($1)
        -- A message of a database that was restored from a backup since names ids that were given once more: what is not of its
        -- jobs stays. The first of a dispatch is enough, found among the sorted ids by halves.
        AND ($4::uuid[])[width_bucket(jobs[1], $4)] = jobs[1]
    RETURNING id
),
-- In order of id, as every statement that takes several jobs: unordered they would deadlock. It is the order of the index,
-- and there is no other way to these rows (`database.rs`). Not SKIP LOCKED: the dispatch goes with this claim, so a job that
-- was skipped would be lost until somebody finds it.
taken AS (
    UPDATE jobs SET
        status = 'in_progress',
        version = version + 1,
        attempt = attempt + 1,
        worker = $2,
        -- Drawn by the worker: the server asks the system for each. The ids are sorted, so that a place among them is found by
        -- halves.
        token = ($7::uuid[])[width_bucket(id, $4)],
        started_at = now(),
        next_attempt_at = NULL,
        progress = NULL
    WHERE id = ANY($4) AND id BETWEEN $5 AND $6 AND status = 'queued' AND (deadline IS NULL OR deadline > now())
        -- The dispatches first, as who takes them from the store does: the other way round the two would deadlock.
        AND (SELECT count(*) FROM cleared) >= 0
    RETURNING id, attempt, token, kind, queue, version, input, input_type, max_attempts, run_timeout_ms, deadline, crashes,
        traceparent, tenant, input_blob, webhook_url, webhook_events
),
announced AS (
    INSERT INTO deliveries (job_id, version, event, receiver)
    SELECT id, version, 'job.started', receiver_of(webhook_url)
    FROM taken WHERE 'job.started' = ANY(webhook_events)
    ON CONFLICT DO NOTHING
),
leased AS (
    INSERT INTO leases (id, worker, jobs)
    SELECT $3, $2, array_agg(id) FROM taken HAVING count(*) > 0
)
SELECT id, attempt, token, kind, queue, version, input, input_type, max_attempts, run_timeout_ms, deadline, crashes,
    traceparent, tenant, input_blob
FROM taken

-- Takes those of the given jobs (?1) that still wait and whose deadline has not passed. Their workers (?2) and tokens (?3) come one after the other.
UPDATE jobs SET
    status = 'in_progress',
    version = version + 1,
    attempt = attempt + 1,
    worker = substr(?2, 1 + 16 * given.key, 16),
    token = substr(?3, 1 + 16 * given.key, 16),
    started_at = ?4,
    progress = NULL
FROM json_each(?1) AS given
WHERE jobs.id = unhex(given.value) AND jobs.status = 'queued' AND (jobs.deadline IS NULL OR jobs.deadline > ?4)
RETURNING id, token, kind, queue, version, attempt, max_attempts, crashes, run_timeout_ms, deadline, traceparent, tenant, input_type,
    input, input_blob, webhook_url, webhook_events

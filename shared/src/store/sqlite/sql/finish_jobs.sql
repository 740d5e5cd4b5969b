-- Ends jobs well; `move_job.sql` is for any other end. The version is the guard: it is the one that was read. Digests (?3) and results
-- (?4) come one after the other; ?1 has a list for each job: its id and version, when it expires, and its result: type, blob, where it
-- begins and how long it is.
UPDATE jobs SET
    version = version + 1,
    status = 'succeeded',
    next_attempt_at = NULL,
    finished_at = ?2,
    expires_at = given.value ->> 2,
    cancel_acknowledged_at = NULL,
    error = NULL,
    result_type = given.value ->> 3,
    result_digest = substr(?3, 1 + 32 * given.key, 32),
    result_blob = given.value ->> 4,
    -- of results that are all empty there is no part
    result = coalesce(substr(?4, given.value ->> 5, given.value ->> 6), x'')
FROM json_each(?1) AS given
WHERE jobs.id = unhex(given.value ->> 0) AND jobs.version = given.value ->> 1 AND jobs.status = 'in_progress'

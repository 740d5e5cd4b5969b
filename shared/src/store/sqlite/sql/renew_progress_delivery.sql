-- What came of a job while it was told of as it was at version ?3 is told next (?5 after this one at the earliest), under the
-- version that it has now and so by another id, and takes this one's place.
UPDATE deliveries SET
    version = job.version,
    created_at = max(?4, created_at + ?5),
    state = 'pending',
    next_at = max(?4, created_at + ?5),
    tries = 0,
    attempts = 0,
    last_status = NULL,
    history = '[]'
FROM (
    SELECT version FROM jobs
    WHERE id = ?1 AND status = 'in_progress' AND progress IS NOT NULL AND version > ?3
) job
WHERE deliveries.job_id = ?1 AND deliveries.version = ?2

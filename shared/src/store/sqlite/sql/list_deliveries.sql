-- Of a job, so without what has this id and is a batch's.
SELECT job_id, version, event, created_at, state, attempts, next_at, history
FROM deliveries
WHERE job_id = ?1 AND version > 0 AND version < ?2
ORDER BY version DESC
LIMIT ?3

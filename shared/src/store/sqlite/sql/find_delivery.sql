SELECT job_id, version, event, created_at, state, attempts, next_at, history
FROM deliveries
WHERE job_id = ?1 AND version = ?2

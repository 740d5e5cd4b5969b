SELECT version, state, created_at FROM deliveries
WHERE job_id = ?1 AND event = 'job.progress'
ORDER BY version DESC LIMIT 1

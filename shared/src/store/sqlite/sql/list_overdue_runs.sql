-- Leased jobs whose attempts have run for as long as they may. A remote lease is of one job, so its list is that job's id.
-- CROSS: from the workers to their jobs. The other way round all jobs there are would be looked at.
SELECT j.id, j.attempt, j.token, j.worker, j.kind, j.max_attempts, j.run_timeout_ms, j.deadline
FROM workers w
CROSS JOIN leases l ON l.worker = w.id
CROSS JOIN jobs j ON j.id = l.jobs AND j.worker = w.id AND j.status = 'in_progress'
WHERE w.run_until <= ?1
ORDER BY w.run_until
LIMIT ?2

-- Leased jobs whose attempts have run for as long as they may, those first that should have ended first.
SELECT j.id, j.attempt, j.token, j.worker, j.kind, j.max_attempts, j.run_timeout_ms, j.deadline
FROM workers w
JOIN leases l ON l.worker = w.id
JOIN LATERAL unnest(l.jobs) AS u (id) ON true
JOIN jobs j ON j.id = ANY(ARRAY[u.id]) AND j.worker = w.id AND j.status = 'in_progress'
WHERE w.run_until <= now()
ORDER BY w.run_until
LIMIT $1

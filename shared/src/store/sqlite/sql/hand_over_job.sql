-- Hands a running job over, if it is still the attempt that the worker claims it to be.
UPDATE jobs SET worker = ?5
WHERE id = ?1 AND attempt = ?2 AND token = ?3 AND worker = ?4 AND status = 'in_progress'
RETURNING queue, started_at + run_timeout_ms * 1000 AS run_until

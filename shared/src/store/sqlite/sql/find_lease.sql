-- The job that runs under a token, and may go on.
SELECT j.worker, j.attempt, j.cancel_requested_at IS NOT NULL AS cancel_requested, j.cancel_reason, w.ttl_ms, w.run_until
FROM jobs j
JOIN workers w ON w.id = j.worker
WHERE j.id = ?1 AND j.token = ?2 AND coalesce(j.tenant, 'default') = ?3 AND j.status = 'in_progress' AND w.run_until > ?4

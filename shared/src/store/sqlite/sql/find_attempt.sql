SELECT attempt, worker, tenant, kind, status, max_attempts, deadline, result_digest
FROM jobs
WHERE id = ?1 AND token = ?2 AND worker IS NOT NULL AND (expires_at IS NULL OR expires_at > ?3)

SELECT result_type, result_digest, result
FROM jobs
WHERE id = ?1 AND status = 'succeeded' AND expires_at > ?2

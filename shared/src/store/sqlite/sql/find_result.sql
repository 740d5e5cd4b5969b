SELECT result_type, result_digest, result, result_blob
FROM jobs
WHERE id = ?1 AND status = 'succeeded' AND erased_at IS NULL AND expires_at > ?2

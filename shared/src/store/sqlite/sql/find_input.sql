SELECT input_type, input, input_blob
FROM jobs
WHERE id = ?1 AND input_erased_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)

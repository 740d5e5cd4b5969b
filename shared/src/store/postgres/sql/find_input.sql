SELECT id, input_type, input
FROM jobs
WHERE id = $1 AND (expires_at IS NULL OR expires_at > now())

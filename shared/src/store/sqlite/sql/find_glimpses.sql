SELECT id, version, status
FROM jobs
WHERE id IN (SELECT unhex(value) FROM json_each(?1)) AND (expires_at IS NULL OR expires_at > ?2)

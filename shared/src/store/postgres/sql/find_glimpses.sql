SELECT id, version, status
FROM jobs
WHERE id = ANY($1) AND id BETWEEN $2 AND $3 AND (expires_at IS NULL OR expires_at > now())

SELECT id, tenant, key, total, succeeded, failed, canceled, expired, cancel_requested_at, finished_at, expires_at
FROM batches
WHERE id = ?1 AND (expires_at IS NULL OR expires_at > ?2)

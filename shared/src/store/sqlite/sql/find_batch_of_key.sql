SELECT id, fingerprint FROM batches WHERE key = ?1 AND tenant = ?2 AND (expires_at IS NULL OR expires_at > ?3)

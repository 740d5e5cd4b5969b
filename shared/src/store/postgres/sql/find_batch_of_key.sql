SELECT id, fingerprint, COALESCE(expires_at <= now(), false) AS stale FROM batches WHERE key = $1 AND tenant = $2

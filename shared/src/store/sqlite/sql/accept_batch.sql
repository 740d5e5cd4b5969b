INSERT INTO batches (id, tenant, key, fingerprint, retention_seconds, total, items, webhook_url)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)

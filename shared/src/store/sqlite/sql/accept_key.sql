INSERT OR REPLACE INTO idempotency_keys (key, tenant, job_id, fingerprint) VALUES (?1, ?2, ?3, ?4)

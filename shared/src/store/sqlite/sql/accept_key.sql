INSERT OR REPLACE INTO idempotency_keys (key, job_id, fingerprint) VALUES (?1, ?2, ?3)

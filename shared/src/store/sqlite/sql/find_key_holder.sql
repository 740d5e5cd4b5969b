SELECT job_id FROM idempotency_keys WHERE key = ?1 AND tenant = ?2

-- The key of a job that has outlived its retention is free, whether or not it has been removed yet.
SELECT k.job_id, k.fingerprint
FROM idempotency_keys k
JOIN jobs j ON j.id = k.job_id
WHERE k.key = ?1 AND k.tenant = ?2 AND (j.expires_at IS NULL OR j.expires_at > ?3)

-- Which jobs hold these keys. `stale`: the job is gone or forgotten, and the key with it.
SELECT k.key, k.job_id, k.fingerprint, COALESCE(j.expires_at <= now(), j.id IS NULL) AS stale
FROM idempotency_keys k
LEFT JOIN jobs j ON j.id = k.job_id
WHERE k.key = ANY($1)

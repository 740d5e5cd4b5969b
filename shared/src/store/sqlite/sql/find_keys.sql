-- The key of a job that has outlived its retention is free, whether or not it has been removed yet. ?1: keys, each with its tenant.
SELECT k.key, k.tenant, k.job_id, k.fingerprint
FROM json_each(?1) AS asked
CROSS JOIN idempotency_keys k ON k.key = asked.value ->> 0 AND k.tenant = asked.value ->> 1
CROSS JOIN jobs j ON j.id = k.job_id
WHERE j.expires_at IS NULL OR j.expires_at > ?2

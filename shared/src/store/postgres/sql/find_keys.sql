-- Which jobs hold these keys of these tenants. `stale`: the job is gone or forgotten, and the key with it.
SELECT k.key, k.tenant, k.job_id, k.fingerprint, COALESCE(j.expires_at <= now(), j.id IS NULL) AS stale
FROM unnest($1::text[], $2::text[]) AS w (key, tenant)
JOIN idempotency_keys k ON k.key = ANY(ARRAY[w.key]) AND k.tenant = ANY(ARRAY[w.tenant])
LEFT JOIN jobs j ON j.id = k.job_id

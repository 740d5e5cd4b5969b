-- Frees keys whose job is gone or forgotten, unless somebody has taken them meanwhile.
DELETE FROM idempotency_keys k
USING unnest($1::text[], $2::uuid[]) AS s (key, job_id)
WHERE k.key = s.key AND k.job_id = s.job_id

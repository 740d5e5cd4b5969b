-- Looks at some keys, in order, from ($1, $2) on, and frees those whose job is gone or forgotten. Answers where it stopped:
-- nowhere, when it came to the end.
WITH seen AS MATERIALIZED (
    SELECT key, tenant, job_id FROM idempotency_keys WHERE (key, tenant) > ($1, $2) ORDER BY key, tenant LIMIT $3
),
stale AS MATERIALIZED (
    SELECT s.key, s.tenant, s.job_id FROM seen s LEFT JOIN jobs j ON j.id = s.job_id
    WHERE COALESCE(j.expires_at <= now(), j.id IS NULL)
),
freed AS (
    DELETE FROM idempotency_keys k USING stale
    WHERE k.key = stale.key AND k.tenant = stale.tenant AND k.job_id = stale.job_id
)
SELECT key, tenant FROM seen WHERE (SELECT count(*) FROM seen) = $3 ORDER BY key DESC, tenant DESC LIMIT 1

-- Looks at some keys, in order, from $1 on, and frees those whose job is gone or forgotten. Answers where it stopped:
-- nowhere, when it came to the end.
WITH seen AS MATERIALIZED (
    SELECT key, job_id FROM idempotency_keys WHERE key > $1 ORDER BY key LIMIT $2
),
stale AS MATERIALIZED (
    SELECT s.key, s.job_id FROM seen s LEFT JOIN jobs j ON j.id = s.job_id
    WHERE COALESCE(j.expires_at <= now(), j.id IS NULL)
),
freed AS (
    DELETE FROM idempotency_keys k USING stale WHERE k.key = stale.key AND k.job_id = stale.job_id
)
SELECT CASE WHEN count(*) = $2 THEN max(key) END AS last FROM seen

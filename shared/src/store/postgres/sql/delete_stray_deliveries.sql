-- Looks at some deliveries, in order, from $1 on, and deletes those whose job or batch is gone or forgotten. Answers where
-- it stopped: nowhere, when it came to the end.
WITH seen AS MATERIALIZED (
    SELECT job_id, version FROM deliveries WHERE job_id > $1 ORDER BY job_id, version LIMIT $2
),
gone AS MATERIALIZED (
    SELECT s.job_id, s.version FROM seen s
    LEFT JOIN jobs j ON s.version > 0 AND j.id = s.job_id
    LEFT JOIN batches b ON s.version = 0 AND b.id = s.job_id
    WHERE COALESCE(j.expires_at <= now(), b.expires_at <= now(), j.id IS NULL AND b.id IS NULL)
),
deleted AS (
    DELETE FROM deliveries d USING gone WHERE d.job_id = gone.job_id AND d.version = gone.version
)
SELECT CASE WHEN count(*) = $2 THEN (array_agg(job_id ORDER BY job_id DESC))[1] END AS last FROM seen

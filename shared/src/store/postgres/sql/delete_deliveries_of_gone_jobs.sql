-- Looks at the deliveries of some jobs, in order, from $1 on, and deletes those whose job is gone or forgotten. Answers
-- where it stopped: nowhere, when it came to the end.
WITH seen AS MATERIALIZED (
    SELECT job_id, version FROM deliveries WHERE job_id > $1 ORDER BY job_id, version LIMIT $2
),
gone AS MATERIALIZED (
    SELECT s.job_id, s.version FROM seen s LEFT JOIN jobs j ON j.id = s.job_id
    WHERE COALESCE(j.expires_at <= now(), j.id IS NULL)
),
deleted AS (
    DELETE FROM deliveries d USING gone WHERE d.job_id = gone.job_id AND d.version = gone.version
)
SELECT CASE WHEN count(*) = $2 THEN (array_agg(job_id ORDER BY job_id DESC))[1] END AS last FROM seen

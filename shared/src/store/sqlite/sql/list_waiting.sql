-- What waits for a worker, and behind it what waits for a permit.
SELECT queue, band, first, waiting FROM (
    SELECT 0 AS parked, queue, band, substr(jobs, 1, 16) AS first, length(jobs) / 16 AS waiting, id FROM dispatches
    UNION ALL
    SELECT 1, queue, band, job_id, 1, NULL FROM parked_jobs)
ORDER BY parked, id, first
LIMIT ?1

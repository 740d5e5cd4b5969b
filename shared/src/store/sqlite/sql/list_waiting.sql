-- What waits for a worker, and behind it what waits for a permit. Of each no more is sorted than is answered.
SELECT queue, band, first, waiting FROM (
    SELECT * FROM (
        SELECT 0 AS parked, queue, band, substr(jobs, 1, 16) AS first, length(jobs) / 16 AS waiting, id
        FROM dispatches ORDER BY id LIMIT ?1)
    UNION ALL
    SELECT * FROM (SELECT 1, queue, band, job_id, 1, NULL FROM parked_jobs ORDER BY job_id LIMIT ?1))
ORDER BY parked, id, first
LIMIT ?1

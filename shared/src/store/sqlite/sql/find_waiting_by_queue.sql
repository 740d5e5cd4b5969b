-- In the order of the index first, so that what waits is not sorted.
SELECT queue, sum(jobs) AS jobs, min(oldest) AS oldest
FROM (
    SELECT queue, sum(length(jobs)) / 16 AS jobs, min(created_at) AS oldest FROM dispatches GROUP BY kind, queue
    UNION ALL
    SELECT queue, count(*), min(parked_at) FROM parked_jobs GROUP BY queue)
GROUP BY queue

SELECT queue, sum(jobs) AS jobs, min(created_at) AS oldest
FROM (
    SELECT queue, length(jobs) / 16 AS jobs, created_at FROM dispatches
    UNION ALL
    SELECT queue, 1, parked_at FROM parked_jobs)
GROUP BY queue

SELECT queue, sum(jobs)::bigint AS jobs,
    GREATEST((extract(epoch FROM clock_timestamp() - min(created_at)) * 1000000)::bigint, 0) AS oldest_microseconds
-- OFFSET keeps the planner from reading the table in the order of an index.
FROM (
    SELECT queue, cardinality(jobs) AS jobs, created_at FROM dispatches
    UNION ALL
    SELECT queue, 1, parked_at FROM parked_jobs
    OFFSET 0
) d
GROUP BY queue

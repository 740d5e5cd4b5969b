SELECT
    queue,
    band,
    tenant,
    sum(jobs)::bigint AS jobs,
    count(published_at) FILTER (WHERE kind <> ALL($1)) AS published,
    (extract(epoch FROM clock_timestamp() - min(published_at) FILTER (WHERE kind <> ALL($1))) * 1000000)::bigint
        AS oldest_microseconds,
    min(id) AS first
-- OFFSET keeps the planner from reading the table in the order of an index.
FROM (
    SELECT id, queue, band, kind, tenant, cardinality(jobs) AS jobs, published_at FROM dispatches
    UNION ALL
    SELECT NULL, queue, band, NULL, tenant, 1, NULL FROM parked_jobs
    OFFSET 0
) d
GROUP BY queue, band, tenant

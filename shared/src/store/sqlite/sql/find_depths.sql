SELECT queue, band, tenant, sum(jobs) AS jobs,
    count(published_at) FILTER (WHERE kind NOT IN (SELECT value FROM json_each(?1))) AS published,
    min(published_at) FILTER (WHERE kind NOT IN (SELECT value FROM json_each(?1))) AS oldest
FROM (
    SELECT queue, band, kind, tenant, length(jobs) / 16 AS jobs, published_at FROM dispatches
    UNION ALL
    SELECT queue, band, NULL, tenant, 1, NULL FROM parked_jobs)
GROUP BY queue, band, tenant

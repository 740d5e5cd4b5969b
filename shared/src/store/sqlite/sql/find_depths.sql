-- In the order of the index first, so that what waits is neither sorted nor looked at for its kind one by one.
SELECT queue, band, tenant, sum(jobs) AS jobs,
    coalesce(sum(published) FILTER (WHERE is_sent), 0) AS published, min(oldest) FILTER (WHERE is_sent) AS oldest
FROM (
    SELECT queue, band, tenant, sum(length(jobs)) / 16 AS jobs, count(published_at) AS published, min(published_at) AS oldest,
        kind NOT IN (SELECT value FROM json_each(?1)) AS is_sent
    FROM dispatches
    GROUP BY kind, queue, tenant, band
    UNION ALL
    SELECT queue, band, tenant, count(*), 0, NULL, 1 FROM parked_jobs GROUP BY queue, band, tenant)
GROUP BY queue, band, tenant

SELECT queue, band, tenant,
    sum(length(jobs) / 16) AS jobs,
    count(published_at) FILTER (WHERE kind NOT IN (SELECT value FROM json_each(?1))) AS published,
    min(published_at) FILTER (WHERE kind NOT IN (SELECT value FROM json_each(?1))) AS oldest
FROM dispatches
GROUP BY queue, band, tenant

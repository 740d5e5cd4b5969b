SELECT queue, band, tenant,
    sum(length(jobs) / 16) AS jobs,
    count(published_at) AS published,
    min(published_at) AS oldest
FROM dispatches
GROUP BY queue, band, tenant

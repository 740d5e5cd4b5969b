SELECT queue, band,
    sum(length(jobs) / 16) AS jobs,
    count(published_at) AS published,
    min(published_at) AS oldest
FROM dispatches
GROUP BY queue, band

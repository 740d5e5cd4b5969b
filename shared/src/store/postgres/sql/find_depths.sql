SELECT
    queue,
    band,
    sum(cardinality(jobs))::bigint AS jobs,
    count(published_at) AS published,
    (extract(epoch FROM clock_timestamp() - min(published_at)) * 1000000)::bigint AS oldest_microseconds
FROM dispatches
GROUP BY queue, band

-- Permits that count, by name; and of rates how long until the first of them counts no more, as far as that can be told.
SELECT p.name, count(*) AS used,
    GREATEST((extract(epoch FROM min(j.started_at + p.period_ms * interval '1 millisecond') - clock_timestamp()) * 1000000)::bigint, 0)
        AS soonest_microseconds
FROM permits p
LEFT JOIN jobs j ON p.period_ms IS NOT NULL AND j.id = ANY(ARRAY[p.job_id]) AND j.started_at >= p.given_at
WHERE p.name = ANY($1)
GROUP BY p.name

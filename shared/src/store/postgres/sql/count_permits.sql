-- Permits that count, by name; and of rates how long until the first of them counts no more, as far as that can be told.
SELECT name, count(*) AS used,
    GREATEST((extract(epoch FROM min(spent_at) - clock_timestamp()) * 1000000)::bigint, 0) AS soonest_microseconds
FROM permits
WHERE name = ANY($1)
GROUP BY name

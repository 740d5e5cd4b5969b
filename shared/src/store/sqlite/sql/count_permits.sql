-- Permits that count, by name; and of rates when the first of them counts no more, as far as that can be told.
SELECT name, count(*) AS used, min(spent_at) AS spent_at
FROM permits
WHERE name IN (SELECT value FROM json_each(?1))
GROUP BY name

-- Permits that count, by name; and of rates when the first of them counts no more, as far as that can be told.
SELECT p.name, count(*) AS used, min(j.started_at + p.period_us) AS spent_at
FROM permits p
LEFT JOIN jobs j ON j.id = p.job_id AND j.started_at >= p.given_at
WHERE p.name IN (SELECT value FROM json_each(?1))
GROUP BY p.name

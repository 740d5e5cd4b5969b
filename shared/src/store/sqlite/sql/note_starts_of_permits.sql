-- Notes when permits of the given names (of all, without any) are spent whose jobs have started since the last look: see its twin.
UPDATE permits SET spent_at = j.started_at + permits.period_us
FROM jobs j
WHERE (?1 IS NULL OR permits.name IN (SELECT value FROM json_each(?1))) AND permits.spent_at IS NULL AND permits.period_us IS NOT NULL
    AND j.id = permits.job_id AND j.started_at >= permits.given_at

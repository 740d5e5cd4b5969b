-- Notes when permits of the given names are spent whose jobs have started since the last look: from then on nobody has to look
-- at those jobs for them.
UPDATE permits p SET spent_at = j.started_at + p.period_ms * interval '1 millisecond'
FROM jobs j
WHERE p.name = ANY($1) AND p.spent_at IS NULL AND p.period_ms IS NOT NULL
    AND j.id = ANY(ARRAY[p.job_id]) AND j.started_at >= p.given_at

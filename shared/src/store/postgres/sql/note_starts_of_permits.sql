-- Notes when permits are spent whose jobs have started since the last look: from then on nobody has to look at those jobs for them.
--
-- Of parts (`parts.rs`): `named` for those of some names, else of all.
UPDATE permits p SET spent_at = j.started_at + p.period_ms * interval '1 millisecond'
FROM jobs j
WHERE p.spent_at IS NULL AND p.period_ms IS NOT NULL
    -- if named
    AND p.name = ANY($1)
    -- end
    AND j.id = ANY(ARRAY[p.job_id]) AND j.started_at >= p.given_at

-- Forgets permits of the given names (of all, without any) that count no more: see its twin.
DELETE FROM permits WHERE id IN (
    SELECT p.id
    FROM permits p
    WHERE (?1 IS NULL OR p.name IN (SELECT value FROM json_each(?1))) AND p.spent_at <= ?2
    UNION ALL
    SELECT p.id
    FROM permits p
    LEFT JOIN jobs j ON j.id = p.job_id
    LEFT JOIN parked_jobs k ON k.job_id = p.job_id
    WHERE (?1 IS NULL OR p.name IN (SELECT value FROM json_each(?1))) AND p.spent_at IS NULL
        AND CASE
            WHEN j.id IS NULL THEN p.period_us IS NULL OR p.given_at + p.period_us <= ?2
            WHEN p.period_us IS NOT NULL AND j.started_at >= p.given_at THEN j.started_at + p.period_us <= ?2
            ELSE k.job_id IS NOT NULL OR j.status NOT IN ('queued', 'in_progress')
        END)

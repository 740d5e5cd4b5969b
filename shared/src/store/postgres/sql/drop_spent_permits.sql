-- Forgets permits that count no more. One of a limit on what runs counts while its job waits for a worker or runs; not when it
-- is parked, which is to say that it ran and is to run again. One of a rate counts until its period has passed since the start
-- that it was given for, or, if that never came, while it may still come.
--
-- Of parts (`parts.rs`): `named` for those of some names, else of all.
DELETE FROM permits WHERE id = ANY(ARRAY(
    SELECT p.id
    FROM permits p
    WHERE p.spent_at <= now()
        -- if named
        AND p.name = ANY($1)
        -- end
    UNION ALL
    SELECT p.id
    FROM permits p
    LEFT JOIN jobs j ON j.id = ANY(ARRAY[p.job_id])
    LEFT JOIN parked_jobs k ON k.job_id = p.job_id
    WHERE p.spent_at IS NULL
        -- if named
        AND p.name = ANY($1)
        -- end
        AND CASE
            -- Removed before its start was noted: nobody knows when that was, but that it was not before this.
            WHEN j.id IS NULL
                THEN p.period_ms IS NULL OR p.given_at + p.period_ms * interval '1 millisecond' <= now()
            WHEN p.period_ms IS NOT NULL AND j.started_at >= p.given_at
                THEN j.started_at + p.period_ms * interval '1 millisecond' <= now()
            ELSE k.job_id IS NOT NULL OR j.status NOT IN ('queued', 'in_progress')
        END
))

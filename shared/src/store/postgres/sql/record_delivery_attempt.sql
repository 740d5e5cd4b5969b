-- Records what became of an attempt, unless somebody else has taken the delivery up since, or it was asked for again. $7 is
-- null when there was nothing to attempt.
UPDATE deliveries SET
    state = $4,
    next_at = CASE WHEN $4 = 'pending' THEN now() + $5::bigint * interval '1 millisecond' END,
    tries = tries + CASE WHEN $7::text IS NULL THEN 0 ELSE 1 END,
    attempts = attempts + CASE WHEN $7::text IS NULL THEN 0 ELSE 1 END,
    -- what is put off unsent looks as before
    changes = changes + CASE WHEN $7::text IS NULL AND $4 = 'pending' THEN 0 ELSE 1 END,
    last_status = CASE WHEN $7::text IS NULL THEN last_status ELSE $6 END,
    history = CASE WHEN $7::text IS NULL THEN history
        ELSE (history || $7::text)[GREATEST(1, cardinality(history) + 2 - $8):] END
WHERE job_id = $1 AND version = $2 AND claims = $3 AND state = 'pending'
RETURNING job_id

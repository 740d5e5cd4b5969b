-- Records what became of an attempt, unless somebody else has taken the delivery up since, or it was asked for again. ?7 is
-- null when there was nothing to attempt.
UPDATE deliveries SET
    state = ?4,
    next_at = ?5,
    tries = tries + (?7 IS NOT NULL),
    attempts = attempts + (?7 IS NOT NULL),
    -- what is put off unsent looks as before
    changes = changes + (?7 IS NOT NULL OR ?4 <> 'pending'),
    last_status = CASE WHEN ?7 IS NULL THEN last_status ELSE ?6 END,
    history = CASE
        WHEN ?7 IS NULL THEN history
        WHEN json_array_length(history) < ?8 THEN json_insert(history, '$[#]', json(?7))
        ELSE json_remove(json_insert(history, '$[#]', json(?7)), '$[0]')
    END
WHERE job_id = ?1 AND version = ?2 AND claims = ?3 AND state = 'pending'

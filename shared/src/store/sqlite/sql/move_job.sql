-- What the state machine made of a job. The version is the guard: it is the one that was read.
UPDATE jobs SET
    version = version + 1,
    status = ?3,
    attempt = ?4,
    crashes = ?5,
    token = CASE WHEN ?6 THEN NULL ELSE token END,
    next_attempt_at = ?7,
    finished_at = ?8,
    expires_at = ?9,
    cancel_requested_at = coalesce(cancel_requested_at, ?10),
    cancel_reason = CASE WHEN cancel_requested_at IS NULL THEN ?11 ELSE cancel_reason END,
    cancel_acknowledged_at = ?12,
    error = ?13,
    attempts = CASE WHEN ?14 IS NULL THEN attempts ELSE json_insert(attempts, '$[#]', json(?14)) END,
    result_type = ?15,
    result_digest = ?16,
    result = ?17,
    result_blob = ?18
WHERE id = ?1 AND version = ?2

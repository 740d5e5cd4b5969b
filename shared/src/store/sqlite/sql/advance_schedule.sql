UPDATE schedules SET
    next_at = ?3, missed = missed + ?4, problem = NULL,
    last_at = COALESCE(?5, last_at), last_job = COALESCE(?6, last_job)
WHERE tenant = ?1 AND name = ?2

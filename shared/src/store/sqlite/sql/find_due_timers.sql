SELECT job_id, purpose FROM timers WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2

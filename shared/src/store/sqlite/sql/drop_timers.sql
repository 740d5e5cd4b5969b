DELETE FROM timers WHERE job_id = ?1

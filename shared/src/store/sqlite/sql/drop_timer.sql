DELETE FROM timers WHERE job_id = ?1 AND purpose = ?2

SELECT job_id FROM timers WHERE worker = ?1

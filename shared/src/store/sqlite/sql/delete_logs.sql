DELETE FROM job_logs WHERE job_id = ?1

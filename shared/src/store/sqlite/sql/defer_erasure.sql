UPDATE erasures SET look_at = ?2 WHERE job_id = ?1

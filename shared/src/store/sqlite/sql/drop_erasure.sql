DELETE FROM erasures WHERE job_id = ?1

DELETE FROM deliveries WHERE job_id = ?1 AND version = ?2

DELETE FROM job_logs WHERE job_id IN (SELECT unhex(value) FROM json_each(?1))

DELETE FROM deliveries WHERE job_id IN (SELECT unhex(value) FROM json_each(?1)) AND version > 0

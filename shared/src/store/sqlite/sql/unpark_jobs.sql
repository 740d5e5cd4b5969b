DELETE FROM parked_jobs WHERE job_id IN (SELECT unhex(value) FROM json_each(?1))

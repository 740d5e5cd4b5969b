-- A job that has started never expires.
DELETE FROM timers WHERE purpose = 'expire' AND job_id IN (SELECT unhex(value) FROM json_each(?1))

INSERT INTO permits (name, job_id, period_us, given_at) VALUES (?1, ?2, ?3, ?4)

INSERT INTO erasures (job_id, keep_seconds, look_at) VALUES (?1, ?2, ?3)

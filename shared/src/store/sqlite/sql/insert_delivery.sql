-- A delivery that is there already, of a job that had this id before, does not hold up the job.
INSERT INTO deliveries (job_id, version, event, receiver, created_at, next_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
ON CONFLICT DO NOTHING

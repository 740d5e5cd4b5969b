INSERT INTO parked_jobs (job_id, line, band, queue, tenant, parked_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)

-- Only while it is this job's: once free, a key may be another's.
DELETE FROM idempotency_keys WHERE key = ?1 AND job_id = ?2

-- Leaves those of the given jobs to their timers that still wait although their deadline has passed: see its twin.
INSERT INTO timers (job_id, purpose, due_at)
SELECT id, 'expire', deadline FROM jobs
WHERE id IN (SELECT unhex(value) FROM json_each(?1)) AND status = 'queued' AND deadline <= ?2
ON CONFLICT DO NOTHING

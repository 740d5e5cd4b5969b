-- Leaves those of the given jobs to their timers that still wait although their deadline has passed. Such a timer is there already,
-- but for jobs that were given back by a release that set none.
INSERT INTO timers (job_id, purpose, due_at)
SELECT id, 'expire', deadline FROM jobs
WHERE id = ANY($1) AND id BETWEEN $2 AND $3 AND status = 'queued' AND deadline <= now()
ON CONFLICT DO NOTHING

-- Forgets until when handlers may take that have stopped. A timer that is firing just now goes anyway; to wait for it
-- could be a deadlock, since it waits for the job.
DELETE FROM timers t
USING (
    SELECT job_id, purpose FROM timers WHERE job_id = ANY($1) AND purpose = 'revoke' FOR UPDATE SKIP LOCKED
) gone
WHERE t.job_id = ANY($1) AND t.job_id = gone.job_id AND t.purpose = gone.purpose

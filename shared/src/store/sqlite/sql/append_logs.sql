-- Adds lines behind those that the log has, if the attempt still runs and the log is not full.
WITH behind AS (
    SELECT first + lines AS next, total_bytes FROM job_logs WHERE job_id = ?1 ORDER BY first DESC LIMIT 1
)
INSERT INTO job_logs (job_id, first, lines, total_bytes, attempt, entries)
SELECT ?1, coalesce((SELECT next FROM behind), 1), ?5, coalesce((SELECT total_bytes FROM behind), 0) + ?6, ?2, ?4
FROM jobs
WHERE id = ?1 AND status = 'in_progress' AND attempt = ?2 AND token = ?3
    AND coalesce((SELECT total_bytes FROM behind), 0) < ?7

SELECT first, attempt, entries FROM job_logs
WHERE job_id = $1
    -- from the batch on in which the line after $2 stands
    AND first >= COALESCE((SELECT l.first FROM job_logs l WHERE l.job_id = $1 AND l.first <= $2 ORDER BY l.first DESC LIMIT 1), 0)
ORDER BY first
-- a line at least in each, and one batch may hold none that is wanted
LIMIT $3 + 1

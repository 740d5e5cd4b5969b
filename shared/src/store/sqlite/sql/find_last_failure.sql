-- The error of a job's last failed attempt.
SELECT json_extract(attempts, '$[#-1].error') AS error FROM jobs WHERE id = ?1

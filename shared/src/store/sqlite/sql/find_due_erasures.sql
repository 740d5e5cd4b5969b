SELECT e.job_id, e.keep_seconds, j.finished_at, j.id IS NOT NULL AS is_known
FROM erasures e LEFT JOIN jobs j ON j.id = e.job_id
WHERE e.look_at <= ?1
ORDER BY e.look_at
LIMIT ?2

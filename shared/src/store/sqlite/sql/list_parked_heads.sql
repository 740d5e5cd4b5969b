-- The first ?2 jobs of each band of a line, unless its queue is paused; and whether they still wait.
SELECT p.job_id AS id, p.line, p.band, j.kind, j.tenant, j.concurrency_key, coalesce(j.status = 'queued', 0) AS waits
FROM (
    SELECT * FROM (SELECT * FROM parked_jobs WHERE line = ?1 AND band = 3 ORDER BY job_id LIMIT ?2)
    UNION ALL
    SELECT * FROM (SELECT * FROM parked_jobs WHERE line = ?1 AND band = 2 ORDER BY job_id LIMIT ?2)
    UNION ALL
    SELECT * FROM (SELECT * FROM parked_jobs WHERE line = ?1 AND band = 1 ORDER BY job_id LIMIT ?2)
    UNION ALL
    SELECT * FROM (SELECT * FROM parked_jobs WHERE line = ?1 AND band = 0 ORDER BY job_id LIMIT ?2)
) p
LEFT JOIN jobs j ON j.id = p.job_id
WHERE NOT EXISTS (SELECT 1 FROM paused_queues WHERE name = p.queue)

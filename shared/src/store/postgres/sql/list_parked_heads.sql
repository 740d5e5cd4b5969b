-- The first $2 jobs of each band of the given lines, but of those whose queue is paused; and whether they still wait.
SELECT p.job_id AS id, p.line, p.band, j.kind, j.tenant, j.concurrency_key,
    COALESCE(j.status = 'queued', false) AS waits
FROM unnest($1::text[]) AS l (line)
CROSS JOIN LATERAL (SELECT queue FROM parked_jobs WHERE line = l.line ORDER BY band, job_id LIMIT 1) q
CROSS JOIN unnest('{3,2,1,0}'::smallint[]) AS b (band)
CROSS JOIN LATERAL (
    SELECT job_id, line, band FROM parked_jobs WHERE line = l.line AND band = b.band ORDER BY job_id LIMIT $2
) p
LEFT JOIN jobs j ON j.id = ANY(ARRAY[p.job_id])
WHERE NOT EXISTS (SELECT FROM paused_queues WHERE name = q.queue)

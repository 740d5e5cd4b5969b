-- What waits for a worker, and behind it what waits for a permit.
(SELECT queue, band, jobs[1] AS first, cardinality(jobs)::bigint AS waiting FROM dispatches ORDER BY id LIMIT $1)
UNION ALL
(SELECT queue, band, job_id, 1 FROM parked_jobs ORDER BY job_id LIMIT $1)
LIMIT $1

-- Attempts that have ended under these tokens: a finish that is sent again finds its first one.
SELECT j.id, j.version, j.status
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS f (id, token, worker)
JOIN jobs j ON j.id = ANY(ARRAY[f.id]) AND j.token = f.token AND j.worker = f.worker
WHERE j.status <> 'in_progress'

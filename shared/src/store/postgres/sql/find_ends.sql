-- Attempts that have ended under these tokens: a finish that is sent again finds its first one.
SELECT j.id, j.version, j.status
FROM jobs j
JOIN unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS f (id, token, worker)
    ON f.id = j.id AND f.token = j.token AND f.worker = j.worker
WHERE j.id = ANY($1) AND j.id BETWEEN $4 AND $5 AND j.status <> 'in_progress'

-- Attempts that have ended under these tokens: a finish that is sent again finds its first one.
SELECT j.id, j.version, j.status
FROM jobs j
JOIN unnest($1::uuid[], $2::uuid[]) AS f (id, token) ON f.id = j.id AND f.token = j.token
WHERE j.id = ANY($1) AND j.id BETWEEN $3 AND $4 AND j.status <> 'in_progress'

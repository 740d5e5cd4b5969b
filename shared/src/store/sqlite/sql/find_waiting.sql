SELECT id, queue, band, kind, jobs
FROM dispatches
WHERE queue IN (SELECT value FROM json_each(?1)) AND kind IN (SELECT value FROM json_each(?2))
ORDER BY band DESC, id
LIMIT ?3

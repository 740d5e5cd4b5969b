-- What waits longest in open queues, most urgent first, of one tenant.
SELECT id, queue, band, kind, jobs
FROM dispatches
WHERE queue IN (SELECT value FROM json_each(?1)) AND kind IN (SELECT value FROM json_each(?2)) AND tenant IS ?3
    AND queue NOT IN (SELECT name FROM paused_queues)
ORDER BY band DESC, id
LIMIT ?4

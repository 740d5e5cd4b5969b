-- What waits longest in open queues, most urgent first, of one tenant. Of each queue, kind and band no more is looked at than could
-- be taken, so it does not matter how much else waits.
SELECT d.id, d.queue, d.band, d.kind, d.jobs
FROM json_each('[3,2,1,0]') b
CROSS JOIN json_each(?1) q
CROSS JOIN json_each(?2) k
CROSS JOIN dispatches d
WHERE d.id IN (
    SELECT id FROM dispatches
    WHERE kind = k.value AND queue = q.value AND tenant IS ?3 AND band = b.value
    ORDER BY id
    LIMIT ?4
) AND q.value NOT IN (SELECT name FROM paused_queues)
ORDER BY d.band DESC, d.id
LIMIT ?4

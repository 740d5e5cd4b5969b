-- Looks at $2 receivers with deliveries on their way, in order, from behind $1 on: to whom something is due, since when, and
-- whose the first of it is. The last one looked at is answered as well, if there may be others behind it.
WITH RECURSIVE seen AS (
    (
        SELECT receiver, 1 AS place FROM deliveries
        WHERE next_at IS NOT NULL AND receiver > $1
        ORDER BY receiver LIMIT 1
    )
    UNION ALL
    -- From one to the next by the index: many rows of one cost no more than one.
    SELECT (
        SELECT d.receiver FROM deliveries d
        WHERE d.next_at IS NOT NULL AND d.receiver > s.receiver
        ORDER BY d.receiver LIMIT 1
    ), s.place + 1
    FROM seen s WHERE s.receiver IS NOT NULL AND s.place < $2
)
SELECT s.receiver, s.place = $2 AS is_last, d.next_at,
    CASE WHEN d.version = 0 THEN (SELECT b.tenant FROM batches b WHERE b.id = d.job_id)
        ELSE (SELECT COALESCE(j.tenant, 'default') FROM jobs j WHERE j.id = d.job_id) END AS tenant
FROM seen s
LEFT JOIN LATERAL (
    SELECT job_id, version, next_at FROM deliveries
    WHERE receiver = s.receiver AND next_at <= now()
    ORDER BY next_at LIMIT 1
) d ON true
WHERE s.receiver IS NOT NULL AND (d.next_at IS NOT NULL OR s.place = $2)
ORDER BY s.receiver

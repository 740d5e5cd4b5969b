-- Looks at ?2 receivers with deliveries on their way, in order, from behind ?1 on: to whom something is due (at ?3), since
-- when, and whose the first of it is. The last one looked at is answered as well, if there may be others behind it.
WITH RECURSIVE seen (receiver, place) AS (
    SELECT min(receiver), 1 FROM deliveries WHERE next_at IS NOT NULL AND receiver > ?1
    UNION ALL
    -- From one to the next by the index: many rows of one cost no more than one.
    SELECT (SELECT min(d.receiver) FROM deliveries d WHERE d.next_at IS NOT NULL AND d.receiver > s.receiver), s.place + 1
    FROM seen s WHERE s.receiver IS NOT NULL AND s.place < ?2
)
SELECT s.receiver, s.place = ?2 AS is_last, d.next_at,
    CASE WHEN d.version = 0 THEN (SELECT b.tenant FROM batches b WHERE b.id = d.job_id)
        ELSE (SELECT COALESCE(j.tenant, 'default') FROM jobs j WHERE j.id = d.job_id) END AS tenant
FROM seen s
LEFT JOIN deliveries d ON (d.job_id, d.version) = (
    SELECT f.job_id, f.version FROM deliveries f
    WHERE f.receiver = s.receiver AND f.next_at IS NOT NULL AND f.next_at <= ?3
    ORDER BY f.next_at LIMIT 1
)
WHERE s.receiver IS NOT NULL AND (d.next_at IS NOT NULL OR s.place = ?2)
ORDER BY s.receiver

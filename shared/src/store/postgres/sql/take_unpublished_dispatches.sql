-- Takes what waits to be published from the id $3 on, and says besides what is the oldest that waits for it there, whoever has
-- it, and the newest of all: one row without an id, if there is nothing to take.
WITH due AS MATERIALIZED (
    SELECT id FROM dispatches
    WHERE published_at IS NULL AND publish_after <= now() AND id >= $3
    ORDER BY id
    LIMIT $1
    FOR UPDATE SKIP LOCKED
),
taken AS (
    UPDATE dispatches SET publish_after = now() + make_interval(secs => $2)
    WHERE id = ANY(ARRAY(SELECT id FROM due))
    RETURNING id, queue, band, kind, jobs
)
SELECT taken.*,
    (SELECT id FROM dispatches WHERE published_at IS NULL AND id >= $3 ORDER BY id LIMIT 1) AS oldest,
    (SELECT max(id) FROM dispatches WHERE id >= $3) AS newest
FROM (SELECT) one LEFT JOIN taken ON true
ORDER BY id

-- One renewal, with what the worker says of itself; answers which running jobs are to be canceled, which queues are paused, and
-- whether the broker has not been given for seconds what it should have. No row: declared dead. Dispatches are looked at from the
-- id $3 on, and besides it is said which is the oldest there that waits for the first time, and which the newest.
WITH renewed AS (
    UPDATE workers SET heartbeat_at = clock_timestamp(), report = $2 WHERE id = $1 RETURNING id
)
SELECT
    ARRAY(SELECT job_id FROM timers WHERE worker = $1 AND purpose = 'revoke') AS revoked,
    ARRAY(SELECT name FROM paused_queues ORDER BY name) AS paused,
    -- The oldest speaks for all. What is published once more, since it seems to be lost, says nothing of the broker: it is old.
    coalesce(oldest.created_at < now() - interval '3 seconds', false) AS unpublished,
    oldest.id AS oldest,
    (SELECT max(id) FROM dispatches WHERE id >= $3) AS newest
FROM renewed LEFT JOIN (
    SELECT id, created_at FROM dispatches
    WHERE published_at IS NULL AND publishes = 0 AND id >= $3
    ORDER BY id LIMIT 1
) oldest ON true

-- One renewal, with what the worker says of itself; answers which running jobs are to be canceled, which queues are paused, and
-- whether the broker has not been given for seconds what it should have. No row: declared dead.
WITH renewed AS (
    UPDATE workers SET heartbeat_at = clock_timestamp(), report = $2 WHERE id = $1 RETURNING id
)
SELECT
    ARRAY(SELECT job_id FROM timers WHERE worker = $1 AND purpose = 'revoke') AS revoked,
    ARRAY(SELECT name FROM paused_queues ORDER BY name) AS paused,
    -- the oldest speaks for all
    coalesce((
        SELECT created_at < now() - interval '3 seconds' FROM dispatches
        WHERE published_at IS NULL ORDER BY id LIMIT 1), false) AS unpublished
FROM renewed

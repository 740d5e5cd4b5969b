-- One renewal, with what the worker says of itself; answers which running jobs are to be canceled, and which queues are
-- paused. No row: declared dead.
WITH renewed AS (
    UPDATE workers SET heartbeat_at = clock_timestamp(), report = $2 WHERE id = $1 RETURNING id
)
SELECT
    ARRAY(SELECT job_id FROM timers WHERE worker = $1 AND purpose = 'revoke') AS revoked,
    ARRAY(SELECT name FROM paused_queues ORDER BY name) AS paused
FROM renewed

-- One renewal; answers which running jobs are to be canceled. No row: declared dead.
WITH renewed AS (
    UPDATE workers SET heartbeat_at = clock_timestamp() WHERE id = $1 RETURNING id
)
SELECT ARRAY(SELECT job_id FROM timers WHERE worker = $1 AND purpose = 'revoke') AS revoked FROM renewed

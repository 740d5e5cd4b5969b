-- One sign of life of a remote worker. No row: the job does not run under this token, or no longer may.
WITH live AS MATERIALIZED (
    SELECT id, worker, attempt, cancel_requested_at IS NOT NULL AS cancel_requested, cancel_reason FROM jobs
    WHERE id = $1 AND token = $2 AND COALESCE(tenant, 'default') = $3 AND status = 'in_progress'
)
UPDATE workers w SET heartbeat_at = clock_timestamp()
FROM live
WHERE w.id = ANY(ARRAY[live.worker]) AND w.run_until > clock_timestamp()
RETURNING live.id, live.worker, live.attempt, live.cancel_requested, live.cancel_reason,
    clock_timestamp() + w.ttl AS lease_until, w.run_until

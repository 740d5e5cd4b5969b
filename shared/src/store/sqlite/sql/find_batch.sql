SELECT id, tenant, key, total, succeeded, failed, canceled, expired, cancel_requested_at, finished_at, expires_at,
    webhook_url, CASE WHEN webhook_url IS NOT NULL THEN (
        SELECT json_object('state', state, 'attempts', attempts, 'last_status', last_status, 'changes', changes)
        FROM deliveries WHERE job_id = batches.id AND version = 0
    ) END AS deliveries
FROM batches
WHERE id = ?1 AND (expires_at IS NULL OR expires_at > ?2)

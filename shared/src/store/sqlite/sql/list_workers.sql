SELECT id, ttl_ms, heartbeat_at, run_until IS NOT NULL AS is_remote FROM workers ORDER BY heartbeat_at

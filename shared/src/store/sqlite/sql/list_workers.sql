SELECT id, ttl_ms, heartbeat_at FROM workers ORDER BY heartbeat_at

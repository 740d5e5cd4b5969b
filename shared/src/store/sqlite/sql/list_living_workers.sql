SELECT id, name, report, heartbeat_at FROM workers WHERE heartbeat_at + ttl_ms * 1000 >= ?1 ORDER BY name, id

SELECT id, name, report, heartbeat_at, run_until IS NOT NULL AS is_remote FROM workers WHERE heartbeat_at + ttl_ms * 1000 >= ?1 ORDER BY name, id

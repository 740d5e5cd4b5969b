INSERT INTO workers (id, name, ttl_ms, started_at, heartbeat_at, run_until, report) VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)

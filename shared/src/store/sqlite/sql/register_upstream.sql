INSERT INTO workers (id, name, ttl_ms, started_at, heartbeat_at, run_until, report, awaits_upstream)
VALUES (?1, 'upstream', ?2, ?3, ?3, ?4, ?5, 1)

INSERT INTO workers (id, name, lock_key, ttl, started_at, heartbeat_at)
VALUES ($1, $2, $3, make_interval(secs => $4), clock_timestamp(), clock_timestamp())
ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at

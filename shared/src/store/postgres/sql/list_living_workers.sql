SELECT id, name, report, run_until IS NOT NULL AS is_remote,
    GREATEST((extract(epoch FROM clock_timestamp() - heartbeat_at) * 1000000)::bigint, 0) AS silent_microseconds
FROM workers
WHERE heartbeat_at >= clock_timestamp() - ttl
ORDER BY name, id

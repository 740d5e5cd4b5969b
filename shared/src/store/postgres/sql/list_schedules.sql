SELECT tenant, name, source, cron, catch_up, catch_up_most, kind, input, input_type, options, version, created_at, updated_at,
    paused_at, next_at, last_at, last_job, missed, problem, configured_at, confirmed_at, concurrency_key
FROM schedules
WHERE tenant = $1 AND name COLLATE "C" > $2
ORDER BY name COLLATE "C"
LIMIT $3

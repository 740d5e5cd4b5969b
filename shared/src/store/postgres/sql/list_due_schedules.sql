SELECT tenant, name, source, cron, catch_up, catch_up_most, kind, input, input_type, options, version, created_at, updated_at,
    paused_at, next_at, last_at, last_job, missed, problem, configured_at, confirmed_at, concurrency_key
FROM schedules
WHERE next_at <= $1 AND (next_at, tenant, name) > ($2, $3, $4)
ORDER BY next_at, tenant, name
LIMIT $5

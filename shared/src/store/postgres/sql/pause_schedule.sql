UPDATE schedules SET paused_at = $3, next_at = NULL, problem = NULL, version = version + 1, updated_at = $3
WHERE tenant = $1 AND name = $2 AND paused_at IS NULL

UPDATE schedules SET paused_at = NULL, next_at = $5, version = version + 1, updated_at = $4
WHERE tenant = $1 AND name = $2 AND version = $3 AND paused_at IS NOT NULL
RETURNING name

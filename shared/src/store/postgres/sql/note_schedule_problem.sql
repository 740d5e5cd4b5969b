UPDATE schedules SET problem = $4
WHERE tenant = $1 AND name = $2 AND version = $3 AND problem IS DISTINCT FROM $4 AND next_at = $5

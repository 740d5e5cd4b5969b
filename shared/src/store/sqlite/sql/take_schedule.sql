-- Only as it was read: with this tick still to be run.
SELECT name FROM schedules
WHERE tenant = ?1 AND name = ?2 AND version = ?3 AND next_at = ?4

UPDATE schedules SET problem = ?4
WHERE tenant = ?1 AND name = ?2 AND version = ?3 AND problem IS NOT ?4 AND next_at = ?5

DELETE FROM schedules WHERE tenant = ?1 AND name = ?2 AND source = 'api' RETURNING name

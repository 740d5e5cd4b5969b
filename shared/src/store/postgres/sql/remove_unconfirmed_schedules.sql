DELETE FROM schedules WHERE source = 'config' AND confirmed_at < $1 RETURNING tenant, name

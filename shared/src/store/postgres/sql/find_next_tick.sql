SELECT min(next_at) AS next_at FROM schedules WHERE next_at > $1

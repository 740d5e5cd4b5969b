SELECT (extract(epoch FROM min(due_at) - clock_timestamp()) * 1000000)::bigint AS microseconds FROM timers

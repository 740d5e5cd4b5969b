SELECT name, paused_at FROM paused_queues ORDER BY name

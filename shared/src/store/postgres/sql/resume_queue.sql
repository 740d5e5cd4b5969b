DELETE FROM paused_queues WHERE name = $1

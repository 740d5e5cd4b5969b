SELECT EXISTS (
    SELECT 1 FROM dispatches
    WHERE kind = ?1 AND tenant IS ?2 AND queue IN (SELECT value FROM json_each(?3))
        AND queue NOT IN (SELECT name FROM paused_queues)
)

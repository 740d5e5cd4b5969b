UPDATE dispatches SET published_at = ?2, publishes = publishes + 1
WHERE id IN (SELECT value FROM json_each(?1))

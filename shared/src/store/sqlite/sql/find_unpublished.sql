-- Whether the oldest dispatch that nobody has published yet is from before ?1: it speaks for all. What is published once more,
-- since it seems to be lost, says nothing of the broker: it is old.
SELECT coalesce((SELECT created_at < ?1 FROM dispatches WHERE published_at IS NULL AND publishes = 0 ORDER BY id LIMIT 1), 0)

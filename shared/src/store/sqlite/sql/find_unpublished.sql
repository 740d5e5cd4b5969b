-- Whether the oldest dispatch that nobody has published is from before ?1: it speaks for all.
SELECT coalesce((SELECT created_at < ?1 FROM dispatches WHERE published_at IS NULL ORDER BY id LIMIT 1), 0)

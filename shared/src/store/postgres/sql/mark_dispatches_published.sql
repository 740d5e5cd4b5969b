-- Skips what a claim is clearing just now: it is going anyway, and nobody has to wait for anybody.
UPDATE dispatches SET published_at = now(), publishes = publishes + 1
WHERE id = ANY(ARRAY(
    SELECT id FROM dispatches WHERE id = ANY($1) AND published_at IS NULL ORDER BY id FOR UPDATE SKIP LOCKED
))

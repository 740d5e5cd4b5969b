-- Replicas note the same keys: in order of the id, and skipped where another is at it.
UPDATE api_keys SET last_used_at = now()
WHERE id = ANY(ARRAY(SELECT id FROM api_keys WHERE id = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED))

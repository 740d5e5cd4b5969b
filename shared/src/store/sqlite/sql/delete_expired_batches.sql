DELETE FROM batches WHERE id IN (SELECT id FROM batches WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
RETURNING id

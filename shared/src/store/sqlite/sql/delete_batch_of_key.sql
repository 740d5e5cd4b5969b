DELETE FROM batches WHERE key = ?1 AND tenant = ?2 RETURNING id

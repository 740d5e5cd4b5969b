UPDATE dispatches SET publish_after = ?2
WHERE id IN (SELECT id FROM dispatches WHERE published_at IS NULL AND publish_after <= ?1 ORDER BY id LIMIT ?3)
RETURNING id, queue, band, kind, jobs

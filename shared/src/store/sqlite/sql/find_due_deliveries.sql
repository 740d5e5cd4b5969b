SELECT job_id, version FROM deliveries
WHERE receiver = ?1 AND next_at IS NOT NULL AND next_at <= ?2
ORDER BY next_at LIMIT ?3

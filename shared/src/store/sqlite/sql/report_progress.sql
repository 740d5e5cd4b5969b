UPDATE jobs SET progress = ?4, version = version + 1
WHERE id = ?1 AND attempt = ?2 AND token = ?3 AND status = 'in_progress'
RETURNING version, webhook_url, webhook_events

UPDATE api_keys SET last_used_at = ?2 WHERE id IN (SELECT value FROM json_each(?1))

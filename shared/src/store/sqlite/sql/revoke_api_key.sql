UPDATE api_keys SET revoked_at = COALESCE(revoked_at, ?2)
WHERE id = ?1
RETURNING id, tenant, name, hash, scopes, created_at, expires_at, revoked_at, last_used_at

-- The keys asked for, and in each row whether there is any key at all: one row without a key, when none was found.
SELECT k.id, k.tenant, k.name, k.hash, k.scopes, k.created_at, k.expires_at, k.revoked_at, k.last_used_at, any_key
FROM (SELECT EXISTS (SELECT 1 FROM api_keys) AS any_key) a
LEFT JOIN api_keys k ON k.id IN (SELECT value FROM json_each(?1))

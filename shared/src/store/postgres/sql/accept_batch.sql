-- Opens a batch: what it holds is filled in before the commit. No row: its key is another's.
INSERT INTO batches (id, tenant, key, fingerprint, retention_seconds)
SELECT $1, $2, $3, $4, $5
-- Set before anything can block: how long to wait for a key that another open transaction has inserted.
FROM set_config('lock_timeout', $6, true)
ON CONFLICT (key, tenant) DO NOTHING
RETURNING id

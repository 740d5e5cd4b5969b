-- ?1: keys of one tenant. Their jobs and fingerprints come one after the other.
INSERT OR REPLACE INTO idempotency_keys (key, tenant, job_id, fingerprint)
SELECT value, ?2, substr(?3, 1 + 16 * given.key, 16), substr(?4, 1 + 32 * given.key, 32)
FROM json_each(?1) AS given

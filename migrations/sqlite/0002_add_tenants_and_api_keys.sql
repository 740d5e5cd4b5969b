-- The twin of postgres/0002.
--
-- The columns of `jobs` come after its payloads. That costs a plain installation nothing: neither NULL nor 0 has any
-- content, so nothing is read past a payload to find it.

-- whose it is; none: the tenant `default`
ALTER TABLE jobs ADD COLUMN tenant TEXT;
-- waits in the express band: its tenant had little waiting while others had a lot
ALTER TABLE jobs ADD COLUMN express INTEGER NOT NULL DEFAULT 0;

-- As in `jobs`. All jobs of a dispatch are one tenant's.
ALTER TABLE dispatches ADD COLUMN tenant TEXT;

-- A key is unique within its tenant.
CREATE TABLE keys_of_tenants (
    key         TEXT NOT NULL,
    tenant      TEXT NOT NULL DEFAULT 'default',
    job_id      BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    PRIMARY KEY (key, tenant)
) STRICT, WITHOUT ROWID;
INSERT INTO keys_of_tenants (key, job_id, fingerprint) SELECT key, job_id, fingerprint FROM idempotency_keys;
DROP TABLE idempotency_keys;
ALTER TABLE keys_of_tenants RENAME TO idempotency_keys;

-- Keys of callers: `rk_ID_SECRET`. A row is never deleted: once a key was made, nobody calls without one.
CREATE TABLE api_keys (
    id           TEXT    NOT NULL PRIMARY KEY,
    tenant       TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    hash         BLOB    NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the whole key
    scopes       TEXT    NOT NULL, -- JSON
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    -- to a minute or so: it is noted beside the requests, not by them
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;

-- What all processes must agree on and nobody else may know.
CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

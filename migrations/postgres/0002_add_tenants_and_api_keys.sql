-- Who may call, and whose a job is.
--
-- The lock on `jobs` lasts an instant. That on `idempotency_keys` lasts while its index is built anew: about a second for
-- each million keys, and keys live as long as their jobs.

ALTER TABLE jobs
    -- whose it is; none: the tenant `default`. A plain installation pays nothing for it
    ADD COLUMN tenant text,
    -- waits in the express band: its tenant had little waiting while others had a lot
    ADD COLUMN express boolean NOT NULL DEFAULT false;

-- As in `jobs`. All jobs of a dispatch are one tenant's.
ALTER TABLE dispatches ADD COLUMN tenant text;

-- A key is unique within its tenant. The key stays in front, so that the previous release still finds it by its index.
ALTER TABLE idempotency_keys
    ADD COLUMN tenant text NOT NULL DEFAULT 'default',
    DROP CONSTRAINT idempotency_keys_pkey,
    ADD PRIMARY KEY (key, tenant);

-- Keys of callers: `rk_ID_SECRET`. A row is never deleted: once a key was made, nobody calls without one.
CREATE TABLE api_keys (
    id           text        PRIMARY KEY,
    tenant       text        NOT NULL,
    name         text        NOT NULL,
    hash         bytea       NOT NULL CHECK (octet_length(hash) = 32), -- SHA-256 of the whole key
    scopes       text[]      NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    -- to a minute or so: it is noted beside the requests, not by them
    last_used_at timestamptz
);

-- What all replicas must agree on and nobody else may know.
CREATE TABLE secrets (
    name  text  PRIMARY KEY,
    value bytea NOT NULL
);

-- The band of a job: `domain::Band::of`.
CREATE FUNCTION lane_of(priority smallint, express boolean) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN express THEN 3::smallint ELSE band_of(priority) END
$$;

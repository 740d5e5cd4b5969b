-- The twin of postgres/0004.
--
-- They stand behind the input, where SQLite puts what is added. A NULL costs nothing even so: the head of a row tells it,
-- and the input is not walked through.

ALTER TABLE jobs ADD COLUMN retry_of BLOB;
ALTER TABLE jobs ADD COLUMN batch_id BLOB;

-- Queues of which nothing new is started. A queue that is not in here is open.
CREATE TABLE paused_queues (
    name      TEXT    NOT NULL PRIMARY KEY,
    paused_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a worker says of itself with each renewal, as `domain::WorkerReport` writes it: one write that is made anyway.
ALTER TABLE workers ADD COLUMN report TEXT; -- JSON

-- Jobs that were submitted together, and how many of them have ended how.
CREATE TABLE batches (
    id                  BLOB    NOT NULL PRIMARY KEY,
    tenant              TEXT    NOT NULL DEFAULT 'default',
    key                 TEXT,
    fingerprint         BLOB,
    total               INTEGER NOT NULL DEFAULT 0,
    retention_seconds   INTEGER NOT NULL,
    succeeded           INTEGER NOT NULL DEFAULT 0,
    failed              INTEGER NOT NULL DEFAULT 0,
    canceled            INTEGER NOT NULL DEFAULT 0,
    expired             INTEGER NOT NULL DEFAULT 0,
    cancel_requested_at INTEGER,
    finished_at         INTEGER,
    expires_at          INTEGER,
    -- the job of each item that was sent, in its order, as a JSON list of ids; null where none was kept. An item whose own
    -- key was known names a job that is no part of the batch
    items               TEXT    NOT NULL DEFAULT '[]',
    UNIQUE (key, tenant),
    CHECK ((finished_at IS NULL) = (expires_at IS NULL)),
    CHECK (succeeded + failed + canceled + expired <= total)
) STRICT;

CREATE INDEX batches_expiry ON batches (expires_at) WHERE expires_at IS NOT NULL;

-- What has happened to batches: one row for each `batch.completed`, from the commit that ended its last job on.
CREATE TABLE batch_events (
    batch_id   BLOB    NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    event      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (batch_id, event)
) STRICT, WITHOUT ROWID;

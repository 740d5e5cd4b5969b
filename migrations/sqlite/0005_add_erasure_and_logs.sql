-- The twin of postgres/0005.

ALTER TABLE jobs ADD COLUMN input_erased_at INTEGER;
ALTER TABLE jobs ADD COLUMN erased_at INTEGER;

CREATE TABLE erasures (
    job_id       BLOB    NOT NULL PRIMARY KEY,
    keep_seconds INTEGER NOT NULL,
    look_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX erasures_look_at ON erasures (look_at);

CREATE TABLE job_logs (
    job_id      BLOB    NOT NULL,
    first       INTEGER NOT NULL,
    lines       INTEGER NOT NULL CHECK (lines > 0),
    total_bytes INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    entries     TEXT    NOT NULL,
    PRIMARY KEY (job_id, first)
) STRICT, WITHOUT ROWID;

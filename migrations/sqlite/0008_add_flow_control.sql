-- The twin of postgres/0008.

ALTER TABLE jobs ADD COLUMN concurrency_key TEXT;
ALTER TABLE jobs ADD COLUMN line TEXT;
ALTER TABLE jobs ADD COLUMN retried_by BLOB;

CREATE TABLE parked_jobs (
    job_id    BLOB    NOT NULL PRIMARY KEY,
    line      TEXT    NOT NULL,
    band      INTEGER NOT NULL,
    queue     TEXT    NOT NULL,
    tenant    TEXT,
    parked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX parked_jobs_line ON parked_jobs (line, band, job_id);

CREATE TABLE permits (
    id        INTEGER PRIMARY KEY,
    name      TEXT    NOT NULL,
    job_id    BLOB    NOT NULL,
    given_at  INTEGER NOT NULL,
    period_us INTEGER
) STRICT;

CREATE INDEX permits_name ON permits (name);

-- The twin of postgres/0001: the same tables, for one process on one machine. Instants are microseconds since the epoch,
-- an id is a blob of 16 bytes, a list of ids is one blob of them all, another list is JSON.
--
-- Payloads are the last columns of `jobs`: SQLite reads a row from its start, and a status read then never walks
-- through an input.

CREATE TABLE jobs (
    id                      BLOB    NOT NULL PRIMARY KEY,
    kind                    TEXT    NOT NULL,
    queue                   TEXT    NOT NULL,
    priority                INTEGER NOT NULL,
    status                  TEXT    NOT NULL CHECK (status IN (
        'scheduled', 'queued', 'in_progress', 'retrying', 'succeeded', 'failed', 'canceled', 'expired')),
    version                 INTEGER NOT NULL DEFAULT 1,
    -- attempts that count, the running one included; a snooze, a drain and a crash take theirs back
    attempt                 INTEGER NOT NULL DEFAULT 0,
    max_attempts            INTEGER NOT NULL,
    crashes                 INTEGER NOT NULL DEFAULT 0,
    -- the fence: who may end the running attempt. Kept after the end, so a repeated finish is recognised
    worker                  BLOB,
    token                   BLOB,
    run_at                  INTEGER,
    next_attempt_at         INTEGER,
    started_at              INTEGER,
    finished_at             INTEGER,
    expires_at              INTEGER,
    deadline                INTEGER,
    run_timeout_ms          INTEGER NOT NULL,
    retention_seconds       INTEGER NOT NULL,
    -- how many ids of its kind may share a dispatch, also when it waits again
    dispatch_width          INTEGER NOT NULL CHECK (dispatch_width >= 1),
    cancel_requested_at     INTEGER,
    cancel_reason           TEXT,
    cancel_acknowledged_at  INTEGER,
    progress                TEXT,    -- JSON
    input_type              TEXT    NOT NULL,
    result_type             TEXT,
    result_digest           BLOB,    -- SHA-256
    error                   TEXT,    -- JSON
    attempts                TEXT    NOT NULL DEFAULT '[]', -- JSON, one for each failed attempt
    metadata                TEXT,    -- JSON
    tags                    TEXT    NOT NULL DEFAULT '[]', -- JSON
    idempotency_key         TEXT,
    traceparent             TEXT,
    result                  BLOB,
    input                   BLOB    NOT NULL,
    -- the schema knows the state machine
    CHECK ((finished_at IS NOT NULL) = (status IN ('succeeded', 'failed', 'canceled', 'expired'))),
    CHECK (status <> 'in_progress' OR (worker IS NOT NULL AND token IS NOT NULL AND started_at IS NOT NULL)),
    CHECK (status <> 'succeeded' OR (result IS NOT NULL AND result_type IS NOT NULL AND result_digest IS NOT NULL)),
    CHECK (status <> 'failed' OR error IS NOT NULL)
) STRICT;

-- What retention removes. Written once in a job's life, when it ends; here an index of that costs less than a scan.
CREATE INDEX jobs_expiry ON jobs (expires_at) WHERE expires_at IS NOT NULL;

-- One key, one job. Written in the transaction that writes the job.
CREATE TABLE idempotency_keys (
    key         TEXT NOT NULL PRIMARY KEY,
    job_id      BLOB NOT NULL,
    fingerprint BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What waits: one row for each message, so for a batch of jobs of one kind. Exists from the commit that makes its jobs
-- wait to the commit that claims them; on the broker meanwhile, once `published_at` is set.
CREATE TABLE dispatches (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    queue         TEXT    NOT NULL,
    band          INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    jobs          BLOB    NOT NULL CHECK (length(jobs) > 0 AND length(jobs) % 16 = 0),
    created_at    INTEGER NOT NULL,
    -- until then the replica that wrote or took it is the one to publish it
    publish_after INTEGER NOT NULL,
    published_at  INTEGER,
    publishes     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX dispatches_unpublished ON dispatches (id) WHERE published_at IS NULL;

-- What is due later: the start of a scheduled or retrying job (`enqueue`), the end of the time in which a job had to
-- start (`expire`), the end of the grace after a cancel (`revoke`; `worker` is then who must be told).
CREATE TABLE timers (
    job_id  BLOB    NOT NULL,
    purpose TEXT    NOT NULL CHECK (purpose IN ('enqueue', 'expire', 'revoke')),
    due_at  INTEGER NOT NULL,
    worker  BLOB,
    PRIMARY KEY (job_id, purpose)
) STRICT, WITHOUT ROWID;

CREATE INDEX timers_due ON timers (due_at);
CREATE INDEX timers_worker ON timers (worker) WHERE worker IS NOT NULL;

-- Who works: one row for each incarnation of a worker, gone when it ended or was declared dead.
CREATE TABLE workers (
    id           BLOB    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    ttl_ms       INTEGER NOT NULL,
    started_at   INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What runs: one row for each claim, so for a batch of jobs. The foreign key is the guard against a worker that claims
-- after it was declared dead.
CREATE TABLE leases (
    id     BLOB NOT NULL PRIMARY KEY,
    worker BLOB NOT NULL REFERENCES workers (id),
    jobs   BLOB NOT NULL CHECK (length(jobs) > 0 AND length(jobs) % 16 = 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX leases_worker ON leases (worker);

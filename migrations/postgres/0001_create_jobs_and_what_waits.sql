-- Jobs, and the small side tables in which what waits, runs or is due is found.
--
-- The rule of `jobs`: no column that changes during a job's life is in an index or in an index's predicate. An update
-- then touches no index (HOT), which is worth a factor of three, and a dead row version costs its page and no more.

-- Partitioned by range of id. Ids are UUIDv7 and grow with time: a point read meets one partition, retention drops
-- whole partitions, and hot indexes stay small with a billion rows behind them. Upkeep makes partitions ahead of time;
-- the default one catches what none was made for, and what was still live when its partition was dropped.
--
-- What never changes comes first, what changes comes last: an update then logs only the tail of a row, and an input
-- that is kept inline is not written again at each step of its job.
CREATE TABLE jobs (
    id                      uuid        NOT NULL,
    run_at                  timestamptz,
    deadline                timestamptz,
    run_timeout_ms          bigint      NOT NULL,
    retention_seconds       bigint      NOT NULL,
    max_attempts            integer     NOT NULL,
    dispatch_width          integer     NOT NULL CHECK (dispatch_width >= 1),
    priority                smallint    NOT NULL,
    kind                    text        NOT NULL,
    queue                   text        NOT NULL,
    input_type              text        NOT NULL,
    input                   bytea       NOT NULL,
    metadata                text,       -- JSON
    tags                    text[]      NOT NULL DEFAULT '{}',
    idempotency_key         text,
    traceparent             text,

    version                 integer     NOT NULL DEFAULT 1,
    -- attempts that count, the running one included; a snooze, a drain and a crash take theirs back
    attempt                 integer     NOT NULL DEFAULT 0,
    crashes                 integer     NOT NULL DEFAULT 0,
    status                  text        NOT NULL CHECK (status IN (
        'scheduled', 'queued', 'in_progress', 'retrying', 'succeeded', 'failed', 'canceled', 'expired')),
    -- the fence: who may end the running attempt. A recorded end keeps the token, so that the same end sent twice is
    -- recognised; whoever takes the job away from its worker erases it
    worker                  uuid,
    token                   uuid,
    next_attempt_at         timestamptz,
    started_at              timestamptz,
    finished_at             timestamptz,
    expires_at              timestamptz,
    cancel_requested_at     timestamptz,
    cancel_acknowledged_at  timestamptz,
    cancel_reason           text,
    progress                text,       -- JSON
    error                   text,       -- JSON
    attempts                text[]      NOT NULL DEFAULT '{}', -- JSON, one for each failed attempt
    result_type             text,
    result_digest           bytea,      -- SHA-256
    result                  bytea,
    PRIMARY KEY (id),
    -- the schema knows the state machine
    CHECK ((finished_at IS NOT NULL) = (status IN ('succeeded', 'failed', 'canceled', 'expired'))),
    CHECK (status <> 'in_progress' OR (worker IS NOT NULL AND token IS NOT NULL AND started_at IS NOT NULL)),
    CHECK (status <> 'succeeded' OR (result IS NOT NULL AND result_type IS NOT NULL AND result_digest IS NOT NULL)),
    CHECK (status <> 'failed' OR error IS NOT NULL)
) PARTITION BY RANGE (id);

-- Half of each page is left free: a claim writes all rows of a page anew at once, and only what fits is HOT.
CREATE TABLE jobs_default PARTITION OF jobs DEFAULT WITH (fillfactor = 50);

-- Inputs and results are bytes that do not compress well or were compressed before: do not try.
ALTER TABLE jobs ALTER COLUMN input SET STORAGE EXTERNAL, ALTER COLUMN result SET STORAGE EXTERNAL;
ALTER TABLE jobs_default ALTER COLUMN input SET STORAGE EXTERNAL, ALTER COLUMN result SET STORAGE EXTERNAL;

-- One key, one job. Written in the transaction that writes the job.
CREATE TABLE idempotency_keys (
    key         text  PRIMARY KEY,
    job_id      uuid  NOT NULL,
    fingerprint bytea NOT NULL
);

-- What waits: one row for each message, so for a batch of jobs of one kind. Exists from the commit that makes its jobs
-- wait to the commit that claims them; on the broker meanwhile, once `published_at` is set.
CREATE TABLE dispatches (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at    timestamptz NOT NULL DEFAULT now(),
    -- until then the replica that wrote or took it is the one to publish it
    publish_after timestamptz NOT NULL DEFAULT now() + interval '2 seconds',
    published_at  timestamptz,
    -- times that the broker confirmed it
    publishes     integer     NOT NULL DEFAULT 0,
    band          smallint    NOT NULL,
    queue         text        NOT NULL,
    kind          text        NOT NULL,
    jobs          uuid[]      NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE INDEX dispatches_unpublished ON dispatches (id) WHERE published_at IS NULL;
-- where workers find work while the broker is away
CREATE INDEX dispatches_waiting ON dispatches (queue, kind, band, id);

-- What is due later: the start of a scheduled or retrying job (`enqueue`), the end of the time in which a job had to
-- start (`expire`), the end of the grace after a cancel (`revoke`; `worker` is then who must be told).
CREATE TABLE timers (
    job_id  uuid        NOT NULL,
    purpose text        NOT NULL CHECK (purpose IN ('enqueue', 'expire', 'revoke')),
    due_at  timestamptz NOT NULL,
    worker  uuid,
    PRIMARY KEY (job_id, purpose)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE INDEX timers_due ON timers (due_at);
CREATE INDEX timers_worker ON timers (worker) WHERE worker IS NOT NULL;

-- Who works: one row for each incarnation of a worker, gone when it ended or was declared dead.
CREATE TABLE workers (
    id           uuid        PRIMARY KEY,
    lock_key     bigint,     -- the advisory lock it holds while it lives; none behind a transaction pooler
    ttl          interval    NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now(),
    name         text        NOT NULL
) WITH (fillfactor = 50);

-- What runs: one row for each claim, so for a batch of jobs. The foreign key is the guard against a worker that claims
-- after it was declared dead.
CREATE TABLE leases (
    id     uuid   PRIMARY KEY,
    worker uuid   NOT NULL REFERENCES workers (id),
    jobs   uuid[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE INDEX leases_worker ON leases (worker);

-- What several statements must agree on.

-- The band of a priority: `domain::Band::of_priority`.
CREATE FUNCTION band_of(priority smallint) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (CASE WHEN priority <= 2 THEN 0 WHEN priority <= 6 THEN 1 ELSE 2 END)::smallint
$$;

-- How long an ended job is kept: a job with a key at least as long as the key is promised to live.
CREATE FUNCTION kept_for(retention_seconds bigint, idempotency_key text) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT make_interval(secs => GREATEST(retention_seconds, CASE WHEN idempotency_key IS NULL THEN 0 ELSE 86400 END))
$$;

-- One entry of `jobs.attempts`, as `domain::FailedAttempt` reads it. `error` is JSON already.
CREATE FUNCTION failed_attempt(started_at timestamptz, ended_at timestamptz, worker uuid, error text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT '{"started_at":' || COALESCE(to_json(to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text, 'null')
        || ',"ended_at":' || to_json(to_char(ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text
        || ',"worker":' || COALESCE(to_json(worker)::text, 'null')
        || ',"error":' || error || '}'
$$;

-- What clients want gone before its job is forgotten, and what handlers write while they run.

ALTER TABLE jobs
    -- the input has gone, before its job
    ADD COLUMN input_erased_at timestamptz,
    -- a client had input, output and logs erased
    ADD COLUMN erased_at timestamptz;

-- Inputs that are to go so long after their jobs ended. A job whose input stays has no row. `look_at` never lies behind the
-- instant at which the input is due.
CREATE TABLE erasures (
    job_id       uuid        PRIMARY KEY,
    keep_seconds bigint      NOT NULL,
    look_at      timestamptz NOT NULL
);

CREATE INDEX erasures_look_at ON erasures (look_at);

-- What handlers wrote: one row for each batch of lines. A job that wrote nothing has none.
CREATE TABLE job_logs (
    job_id      uuid    NOT NULL,
    first       integer NOT NULL, -- the number of the first line, from 1
    lines       integer NOT NULL CHECK (lines > 0),
    total_bytes bigint  NOT NULL, -- of the job's log, these lines included
    attempt     integer NOT NULL,
    entries     text    NOT NULL, -- JSON: [[microseconds since the epoch, "line"], …]
    PRIMARY KEY (job_id, first)
);

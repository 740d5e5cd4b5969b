-- Limits on how much runs at once and how much starts in a time, and dead jobs that are tried once more.

-- None of them is in an index, and a job without them pays nothing.
ALTER TABLE jobs
    -- the client's: jobs of a kind with the same one share the kind's limits for each key
    ADD COLUMN concurrency_key text,
    -- it needs permits to start, and this is the line in which it waits for them; null: it needs none
    ADD COLUMN line text,
    -- the job that repeats this one
    ADD COLUMN retried_by uuid;

-- Jobs that wait for a permit: one row for each, from the commit that makes it wait to the one that lets it through, which
-- writes its dispatch. Jobs of one line need the same permits, so of each line only the first ones are looked at. A row whose
-- job was canceled or has expired meanwhile just goes.
CREATE TABLE parked_jobs (
    job_id    uuid        PRIMARY KEY,
    line      text        COLLATE "C" NOT NULL,
    band      smallint    NOT NULL,
    queue     text        NOT NULL,
    tenant    text,
    parked_at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE INDEX parked_jobs_line ON parked_jobs (line, band, job_id);

-- Permits that were given. Nothing gives one back: whether it still counts is read off its job. One of a limit on what runs
-- counts while the job waits for a worker or runs; one of a rate, until `period_ms` after the start that it was given for.
-- So a crash can neither lose a permit nor make one.
CREATE TABLE permits (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        COLLATE "C" NOT NULL,
    job_id     uuid        NOT NULL,
    given_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    period_ms  bigint
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE INDEX permits_name ON permits (name);

-- The twin of postgres/0003: whom a job's events are told, and one row for each event on its way.

ALTER TABLE jobs ADD COLUMN webhook_url TEXT;
ALTER TABLE jobs ADD COLUMN webhook_events TEXT; -- JSON

-- Written in the commit that makes the event. Each version of a job is one event at most.
CREATE TABLE deliveries (
    job_id      BLOB    NOT NULL,
    version     INTEGER NOT NULL,
    event       TEXT    NOT NULL,
    -- host and port: whose slowness is nobody else's
    receiver    TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    state       TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed', 'superseded')),
    -- when it is due; while somebody sends it: when he is taken for dead
    next_at     INTEGER,
    -- times that it was taken up, or asked for again: the fence of whoever records an attempt
    claims      INTEGER NOT NULL DEFAULT 0,
    -- attempts that were recorded: since the schedule began, and in all
    tries       INTEGER NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0,
    -- visible changes, for the entity tag of its job
    changes     INTEGER NOT NULL DEFAULT 0,
    last_status INTEGER,
    history     TEXT    NOT NULL DEFAULT '[]', -- JSON, one for each attempt, the latest ones
    PRIMARY KEY (job_id, version),
    CHECK ((next_at IS NOT NULL) = (state = 'pending'))
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_due ON deliveries (receiver, next_at) WHERE next_at IS NOT NULL;

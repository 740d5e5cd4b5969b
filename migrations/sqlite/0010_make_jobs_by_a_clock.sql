-- The twin of postgres/0010.
CREATE TABLE schedules (
    tenant         TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    source         TEXT    NOT NULL CHECK (source IN ('api', 'config')),
    cron           TEXT    NOT NULL, -- as `domain::Cron` prints it
    catch_up       TEXT    NOT NULL CHECK (catch_up IN ('skip', 'one', 'all')),
    catch_up_most  INTEGER,
    kind           TEXT    NOT NULL,
    input          BLOB    NOT NULL,
    input_type     TEXT    NOT NULL,
    options        TEXT    NOT NULL, -- JSON, as `domain::ScheduleOptions` writes it
    version        INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    paused_at      INTEGER,
    -- the first tick that no job was made for yet. It moves on in the commit that makes the jobs of those before
    next_at        INTEGER,
    last_at        INTEGER,
    last_job       BLOB,
    missed         INTEGER NOT NULL DEFAULT 0,
    problem        TEXT,
    -- of one in a configuration: when the process started that set it, and when one that has it last said so
    configured_at  INTEGER,
    confirmed_at   INTEGER,
    PRIMARY KEY (tenant, name),
    CHECK (paused_at IS NULL OR next_at IS NULL),
    CHECK ((source = 'config') = (configured_at IS NOT NULL AND confirmed_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX schedules_due ON schedules (next_at, tenant, name) WHERE next_at IS NOT NULL;

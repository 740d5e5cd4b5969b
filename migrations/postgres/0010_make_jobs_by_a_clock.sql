-- Jobs that are made again and again, by a clock.
CREATE TABLE schedules (
    tenant         text        NOT NULL,
    name           text        NOT NULL,
    source         text        NOT NULL CHECK (source IN ('api', 'config')),
    cron           text        NOT NULL, -- as `domain::Cron` prints it
    catch_up       text        NOT NULL CHECK (catch_up IN ('skip', 'one', 'all')),
    catch_up_most  integer,
    kind           text        NOT NULL,
    input          bytea       NOT NULL,
    input_type     text        NOT NULL,
    options        text        NOT NULL, -- JSON, as `domain::ScheduleOptions` writes it
    version        integer     NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    paused_at      timestamptz,
    -- the first tick that no job was made for yet. It moves on in the commit that makes the jobs of those before
    next_at        timestamptz,
    last_at        timestamptz,
    last_job       uuid,
    missed         bigint      NOT NULL DEFAULT 0,
    problem        text,
    -- of one in a configuration: when the process started that set it, and when one that has it last said so
    configured_at  timestamptz,
    confirmed_at   timestamptz,
    PRIMARY KEY (tenant, name),
    CHECK (paused_at IS NULL OR next_at IS NULL),
    CHECK ((source = 'config') = (configured_at IS NOT NULL AND confirmed_at IS NOT NULL))
);

CREATE INDEX schedules_due ON schedules (next_at, tenant, name) WHERE next_at IS NOT NULL;

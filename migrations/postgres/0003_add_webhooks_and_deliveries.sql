-- Webhooks: whom a job's events are told, and one row for each event on its way.

-- Never change, and stand last only because they came later. Without a webhook both are null, which costs a row nothing.
ALTER TABLE jobs ADD COLUMN webhook_url text, ADD COLUMN webhook_events text[];

-- Written in the commit that makes the event, so that none is told before it is so, and none is forgotten. Each version of
-- a job is one event at most, so the two together are the delivery's id, and no event can be on its way twice.
CREATE TABLE deliveries (
    job_id     uuid        NOT NULL,
    version    integer     NOT NULL,
    event      text        NOT NULL,
    -- host and port: whose slowness is nobody else's
    receiver   text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    state      text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed', 'superseded')),
    -- when it is due; while somebody sends it: when others take him for dead
    next_at    timestamptz DEFAULT now(),
    -- times that it was taken up, or asked for again: the fence of whoever records an attempt
    claims     integer     NOT NULL DEFAULT 0,
    -- attempts that were recorded: since the schedule began, and in all
    tries      integer     NOT NULL DEFAULT 0,
    attempts   integer     NOT NULL DEFAULT 0,
    -- visible changes, for the entity tag of its job
    changes    integer     NOT NULL DEFAULT 0,
    last_status integer,
    history    text[]      NOT NULL DEFAULT '{}', -- JSON, one for each attempt, the latest ones
    PRIMARY KEY (job_id, version),
    CHECK ((next_at IS NOT NULL) = (state = 'pending'))
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Receiver first: one with a million rows that are due hides nobody behind them.
CREATE INDEX deliveries_due ON deliveries (receiver, next_at) WHERE next_at IS NOT NULL;

-- Who receives what goes to a URL that `domain::CallbackUrl` has printed.
CREATE FUNCTION receiver_of(webhook_url text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT split_part(webhook_url, '/', 3)
$$;

-- Jobs that repeat others, jobs that belong together, queues that can be paused.

-- Neither changes during a job's life, and a job that is neither pays nothing for them.
ALTER TABLE jobs
    ADD COLUMN retry_of uuid,
    ADD COLUMN batch_id uuid;

-- Queues of which nothing new is started. A queue that is not in here is open.
CREATE TABLE paused_queues (
    name      text        PRIMARY KEY,
    paused_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What a worker says of itself with each renewal, as `domain::WorkerReport` writes it: one write that is made anyway.
ALTER TABLE workers ADD COLUMN report text; -- JSON

-- Jobs that were submitted together, and how many of them have ended how. Changed once for each batch by a statement that
-- ends jobs of it, however many: `count_ends`.
CREATE TABLE batches (
    id                  uuid        PRIMARY KEY,
    tenant              text        NOT NULL DEFAULT 'default',
    key                 text,
    fingerprint         bytea,
    -- the job of each item that was sent, in its order; null where none was kept. An item whose own key was known names a
    -- job that is no part of the batch
    items               uuid[]      NOT NULL DEFAULT '{}',
    total               integer     NOT NULL DEFAULT 0,
    retention_seconds   bigint      NOT NULL,
    succeeded           integer     NOT NULL DEFAULT 0,
    failed              integer     NOT NULL DEFAULT 0,
    canceled            integer     NOT NULL DEFAULT 0,
    expired             integer     NOT NULL DEFAULT 0,
    cancel_requested_at timestamptz,
    finished_at         timestamptz,
    expires_at          timestamptz,
    UNIQUE (key, tenant),
    CHECK ((finished_at IS NULL) = (expires_at IS NULL)),
    CHECK (succeeded + failed + canceled + expired <= total)
) WITH (fillfactor = 50);

-- Counting does not write the list of items anew: it lies beside the row.
ALTER TABLE batches ALTER COLUMN items SET STORAGE EXTERNAL;
CREATE INDEX batches_expiry ON batches (expires_at) WHERE expires_at IS NOT NULL;

-- What has happened to batches: one row for each `batch.completed`, from the commit that ended its last job on.
CREATE TABLE batch_events (
    batch_id   uuid        NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    event      text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (batch_id, event)
);

-- Counts ends of jobs, in the transaction that ends them; whoever calls it holds the locks on those jobs. So jobs are locked
-- before batches, and batches in the order of their ids: two of these wait for one another, but never in a circle.
CREATE FUNCTION count_ends(batch_ids uuid[], statuses text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    ended record;
    over  timestamptz;
BEGIN
    FOR ended IN
        SELECT e.id,
            count(*) FILTER (WHERE e.status = 'succeeded') AS succeeded,
            count(*) FILTER (WHERE e.status = 'failed') AS failed,
            count(*) FILTER (WHERE e.status = 'canceled') AS canceled,
            count(*) FILTER (WHERE e.status = 'expired') AS expired,
            count(*) AS jobs
        FROM unnest(batch_ids, statuses) AS e (id, status)
        GROUP BY e.id
        ORDER BY e.id
    LOOP
        UPDATE batches b SET
            succeeded = b.succeeded + ended.succeeded,
            failed = b.failed + ended.failed,
            canceled = b.canceled + ended.canceled,
            expired = b.expired + ended.expired,
            finished_at = CASE WHEN b.succeeded + b.failed + b.canceled + b.expired + ended.jobs = b.total THEN now() END,
            expires_at = CASE WHEN b.succeeded + b.failed + b.canceled + b.expired + ended.jobs = b.total
                THEN now() + kept_for(b.retention_seconds, b.key) END
        WHERE b.id = ended.id
        RETURNING b.finished_at INTO over;
        IF over IS NOT NULL THEN
            INSERT INTO batch_events (batch_id, event) VALUES (ended.id, 'batch.completed');
        END IF;
    END LOOP;
    RETURN cardinality(batch_ids);
END
$$;

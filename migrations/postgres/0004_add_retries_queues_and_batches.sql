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

-- Jobs that repeat others, jobs that belong together, queues that can be paused.

-- Neither changes during a job's life, and a job that is neither pays nothing for them.
ALTER TABLE jobs
    ADD COLUMN retry_of uuid,
    ADD COLUMN batch_id uuid;

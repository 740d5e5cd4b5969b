-- Attempts that an upstream ends itself, by a POST: the worker hands them over to an incarnation without a process, so that
-- neither a slot nor the worker's life depends on how long the upstream takes. Without a lock and without renewals it lives
-- until its run is over.

ALTER TABLE workers
    -- nobody renews it and nobody can be told of a cancel: a cancel ends it
    ADD COLUMN awaits_upstream boolean NOT NULL DEFAULT false;

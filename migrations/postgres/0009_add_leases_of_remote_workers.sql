-- Jobs that are leased over HTTP. A lease is an incarnation of its own, without a session lock: it lives by its renewals,
-- which any replica takes.

ALTER TABLE workers
    -- a remote lease: when the run of its one job has taken as long as it may. None: a worker that sees to that itself
    ADD COLUMN run_until timestamptz;

CREATE INDEX workers_run_until ON workers (run_until) WHERE run_until IS NOT NULL;

-- Where a tenant's remote workers find its work beside that of others. What has no tenant is not in it, and pays nothing.
CREATE INDEX dispatches_of_tenants ON dispatches (tenant, kind, queue, band, id) WHERE tenant IS NOT NULL;

-- The record of a remote lease whose job it holds no longer. Such a lease is of one job, so its list is that job's id.
DELETE FROM leases
WHERE worker = ?1 AND EXISTS (SELECT 1 FROM workers WHERE id = ?1 AND run_until IS NOT NULL) AND NOT EXISTS (
    SELECT 1 FROM jobs j WHERE j.id = leases.jobs AND j.status = 'in_progress' AND j.worker = ?1
)

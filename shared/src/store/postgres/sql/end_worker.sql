-- Ends an incarnation that holds no job. One that still does keeps its row: the rescue gives its jobs back.
WITH busy AS MATERIALIZED (
    SELECT l.id FROM leases l
    WHERE l.worker = $1 AND EXISTS (
        SELECT FROM jobs j
        WHERE j.id = ANY(l.jobs) AND j.status = 'in_progress' AND j.worker = $1
    )
),
unleased AS (
    DELETE FROM leases WHERE worker = $1 AND id NOT IN (SELECT id FROM busy)
)
DELETE FROM workers WHERE id = $1 AND NOT EXISTS (SELECT FROM busy)

-- Runs that succeeded lately, out of bounded samples: the newest jobs, and for each kind those before its longest waiting one.
WITH longest AS MATERIALIZED (
    SELECT DISTINCT ON (kind) kind, jobs[1] AS below
    FROM (SELECT id, kind, jobs FROM dispatches ORDER BY id LIMIT 5000) d
    ORDER BY kind, id
),
starts AS MATERIALIZED (
    (SELECT below FROM longest LIMIT 50)
    UNION ALL
    SELECT 'ffffffff-ffff-ffff-ffff-ffffffffffff'
)
SELECT DISTINCT seen.id, seen.kind, seen.queue, seen.started_at, seen.finished_at
FROM starts, LATERAL (
    SELECT id, kind, queue, status, started_at, finished_at FROM jobs
    WHERE id < starts.below ORDER BY id DESC LIMIT $1
) seen
WHERE seen.status = 'succeeded'

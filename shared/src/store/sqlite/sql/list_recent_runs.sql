-- The twin of Postgres's: the newest jobs, and for each kind those before its longest waiting one, ?1 of each.
WITH longest AS (
    -- the columns beside min() are those of its row
    SELECT kind, min(id), substr(jobs, 1, 16) AS below
    FROM (SELECT id, kind, jobs FROM dispatches ORDER BY id LIMIT 5000)
    GROUP BY kind
),
starts AS (
    SELECT below FROM longest
    UNION ALL
    SELECT x'ffffffffffffffffffffffffffffffff'
)
SELECT DISTINCT seen.id, seen.kind, seen.queue, seen.started_at, seen.finished_at
FROM starts
-- CROSS: the starts come first. The other way round each job there is would be asked where it stands.
CROSS JOIN jobs seen
    ON seen.id < starts.below AND seen.id >= coalesce(
        (SELECT least.id FROM jobs least WHERE least.id < starts.below ORDER BY least.id DESC LIMIT 1 OFFSET ?1 - 1), x'00')
WHERE seen.status = 'succeeded'

-- The next $2 lines after $1, each found by one look into the index, however many wait in it.
WITH RECURSIVE lines (line) AS (
    (SELECT line FROM parked_jobs WHERE line > $1 ORDER BY line LIMIT 1)
    UNION ALL
    SELECT (SELECT p.line FROM parked_jobs p WHERE p.line > l.line ORDER BY p.line LIMIT 1) FROM lines l WHERE l.line IS NOT NULL
)
SELECT line FROM lines WHERE line IS NOT NULL LIMIT $2

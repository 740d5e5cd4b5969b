-- The next ?2 lines after ?1, each found by one look into the index, however many wait in it.
WITH RECURSIVE lines (line) AS (
    SELECT min(line) FROM parked_jobs WHERE line > ?1
    UNION ALL
    SELECT (SELECT min(p.line) FROM parked_jobs p WHERE p.line > l.line) FROM lines l WHERE l.line IS NOT NULL
    LIMIT ?2
)
SELECT line FROM lines WHERE line IS NOT NULL

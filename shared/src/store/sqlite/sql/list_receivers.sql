-- Receivers with deliveries on their way. From one to the next by the index: many rows of one cost no more than one.
WITH RECURSIVE receivers (receiver) AS (
    SELECT min(receiver) FROM deliveries WHERE next_at IS NOT NULL
    UNION ALL
    SELECT (SELECT min(d.receiver) FROM deliveries d WHERE d.next_at IS NOT NULL AND d.receiver > r.receiver)
    FROM receivers r WHERE r.receiver IS NOT NULL
)
SELECT receiver FROM receivers WHERE receiver IS NOT NULL

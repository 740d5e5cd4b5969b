-- Takes up to $1 deliveries that are due, from each receiver no more than there is room for: $2, or what $4 says of those
-- in $3. One of each comes before a second of any. Until $5 has passed, others leave them alone.
WITH RECURSIVE receivers AS (
    (SELECT receiver FROM deliveries WHERE next_at IS NOT NULL ORDER BY receiver LIMIT 1)
    UNION ALL
    -- From one to the next by the index: many rows of one cost no more than one.
    SELECT (
        SELECT d.receiver FROM deliveries d
        WHERE d.next_at IS NOT NULL AND d.receiver > r.receiver
        ORDER BY d.receiver LIMIT 1
    )
    FROM receivers r WHERE r.receiver IS NOT NULL
),
near AS MATERIALIZED (
    SELECT d.job_id, d.version, d.next_at, row_number() OVER (PARTITION BY r.receiver ORDER BY d.next_at) AS place
    FROM receivers r
    LEFT JOIN unnest($3::text[], $4::integer[]) AS known (receiver, room) ON known.receiver = r.receiver
    CROSS JOIN LATERAL (
        SELECT job_id, version, next_at FROM deliveries
        WHERE receiver = r.receiver AND next_at <= now()
        ORDER BY next_at
        LIMIT COALESCE(known.room, $2)
    ) d
    WHERE r.receiver IS NOT NULL
    ORDER BY place, next_at
    LIMIT $1
),
locked AS MATERIALIZED (
    SELECT d.job_id, d.version FROM near
    JOIN deliveries d ON d.job_id = near.job_id AND d.version = near.version
    WHERE d.next_at <= now()
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE deliveries d SET next_at = now() + $5::bigint * interval '1 millisecond', claims = d.claims + 1
FROM locked
WHERE d.job_id = locked.job_id AND d.version = locked.version
RETURNING d.job_id, d.version, d.event, d.receiver, d.created_at, d.tries, d.claims

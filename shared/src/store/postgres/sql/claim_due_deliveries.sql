-- Takes deliveries that are due, to each receiver in $1 as many as $2 says. Until $3 has passed, others leave them alone.
WITH near AS MATERIALIZED (
    SELECT d.job_id, d.version
    FROM unnest($1::text[], $2::integer[]) AS r (receiver, room)
    CROSS JOIN LATERAL (
        SELECT job_id, version FROM deliveries
        WHERE receiver = r.receiver AND next_at <= now()
        ORDER BY next_at
        LIMIT r.room
    ) d
),
locked AS MATERIALIZED (
    SELECT d.job_id, d.version FROM near
    JOIN deliveries d ON d.job_id = near.job_id AND d.version = near.version
    WHERE d.next_at <= now()
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE deliveries d SET next_at = now() + $3::bigint * interval '1 millisecond', claims = d.claims + 1
FROM locked
WHERE d.job_id = locked.job_id AND d.version = locked.version
RETURNING d.job_id, d.version, d.event, d.receiver, d.created_at, d.tries, d.claims

WITH due AS MATERIALIZED (
    SELECT id FROM dispatches
    WHERE published_at IS NULL AND publish_after <= now()
    ORDER BY id
    LIMIT $1
    FOR UPDATE SKIP LOCKED
),
taken AS (
    UPDATE dispatches SET publish_after = now() + make_interval(secs => $2)
    WHERE id = ANY(ARRAY(SELECT id FROM due))
    RETURNING id, queue, band, kind, jobs
)
SELECT * FROM taken ORDER BY id

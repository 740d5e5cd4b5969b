-- Takes dispatches that the broker seems to have lost: published longer ago than $3 seconds, doubled for each time they
-- were published again, up to five minutes. Those of the kinds $5 were never there. They count as unpublished from now on, held for the caller for a while.
WITH lost AS MATERIALIZED (
    SELECT id FROM dispatches
    WHERE queue = $1 AND band = $2 AND kind <> ALL($5)
        AND published_at < now() - make_interval(secs => LEAST(
            $3 * power(2, LEAST(GREATEST(publishes - 1, 0), 30)), GREATEST($3, 300)))
    ORDER BY id
    LIMIT $4
    FOR UPDATE SKIP LOCKED
),
taken AS (
    UPDATE dispatches SET published_at = NULL, publish_after = now() + interval '2 seconds'
    WHERE id = ANY(ARRAY(SELECT id FROM lost))
    RETURNING id, queue, band, kind, jobs
)
SELECT * FROM taken ORDER BY id

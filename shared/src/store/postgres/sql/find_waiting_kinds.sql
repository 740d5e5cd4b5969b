-- Which of these kinds of tenants ($1, $2; NULL: the default tenant) have anything waiting in an open one of the queues $3.
SELECT w.tenant, w.kind
FROM unnest($1::text[], $2::text[]) AS w (tenant, kind)
WHERE EXISTS (
    SELECT FROM unnest($3::text[]) AS q (queue)
    WHERE NOT EXISTS (SELECT FROM paused_queues p WHERE p.name = q.queue) AND (
        w.tenant IS NULL AND EXISTS (
            SELECT FROM dispatches d WHERE d.queue = q.queue AND d.kind = w.kind AND d.tenant IS NULL
        )
        OR EXISTS (
            SELECT FROM dispatches d WHERE d.tenant = w.tenant AND d.kind = w.kind AND d.queue = q.queue
        )
    )
)

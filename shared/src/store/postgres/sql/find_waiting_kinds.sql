-- Which of these kinds of tenants ($1, $2; NULL: the default tenant) have anything waiting in an open one of the queues $3.
SELECT w.tenant, w.kind
FROM unnest($1::text[], $2::text[]) AS w (tenant, kind)
WHERE EXISTS (
    SELECT FROM unnest($3::text[]) AS q (queue)
    WHERE NOT EXISTS (SELECT FROM paused_queues p WHERE p.name = q.queue) AND (
        -- The first by an index, rather than whether any EXISTS: for that the planner reads the table until it comes upon one.
        w.tenant IS NULL AND (
            SELECT d.id FROM dispatches d
            WHERE d.queue = q.queue AND d.kind = w.kind AND d.tenant IS NULL
            ORDER BY d.band, d.id + 0
            LIMIT 1
        ) IS NOT NULL
        OR (
            SELECT d.id FROM dispatches d
            -- In this order the tenant's own index has them, and no other.
            WHERE d.tenant = w.tenant AND d.kind >= w.kind AND d.kind <= w.kind AND d.queue >= q.queue AND d.queue <= q.queue
            ORDER BY d.kind, d.queue, d.band, d.id
            LIMIT 1
        ) IS NOT NULL
    )
)

-- Leases what waits longest, most urgent first, to a remote worker: one job for each of the incarnations $5 at most, so that
-- each lives and dies alone. A dispatch that holds more than is wanted keeps the rest.
WITH near AS MATERIALIZED (
    SELECT d.id, d.band
    FROM unnest($1::text[]) AS q (queue)
    CROSS JOIN unnest($2::text[]) AS k (kind)
    CROSS JOIN unnest('{3,2,1,0}'::smallint[]) AS b (band)
    CROSS JOIN LATERAL (
        (
            SELECT id, band FROM dispatches
            -- The band as a range, and in the order: with `band = … ORDER BY id` the planner takes the rows for spread evenly over
            -- the ids, and walks the primary key past whatever else waits.
            WHERE $3::text IS NULL AND tenant IS NULL AND queue = q.queue AND kind = k.kind
                AND band >= b.band AND band <= b.band
            ORDER BY band, id + 0
            -- More than will be taken: others are taking from the same end.
            LIMIT 8 * $4::bigint
        )
        UNION ALL
        (
            SELECT id, band FROM dispatches
            -- Likewise: in this order the tenant's own index has them, and no other.
            WHERE tenant = $3::text AND kind >= k.kind AND kind <= k.kind AND queue >= q.queue AND queue <= q.queue
                AND band >= b.band AND band <= b.band
            ORDER BY kind, queue, band, id
            LIMIT 8 * $4::bigint
        )
    ) d
    WHERE NOT EXISTS (SELECT FROM paused_queues p WHERE p.name = q.queue)
    ORDER BY d.band DESC, d.id
    LIMIT 8 * $4::bigint
),
taken AS MATERIALIZED (
    SELECT id, band, jobs FROM dispatches
    WHERE id = ANY(ARRAY(SELECT id FROM near))
    ORDER BY band DESC, id
    LIMIT $4
    FOR UPDATE SKIP LOCKED
),
chosen AS MATERIALIZED (
    SELECT id, jobs, ($4 - jobs_before)::integer AS room FROM (
        SELECT id, jobs, sum(cardinality(jobs)) OVER (ORDER BY band DESC, id) - cardinality(jobs) AS jobs_before
        FROM taken
    ) t
    WHERE jobs_before < $4
),
cleared AS (
    DELETE FROM dispatches WHERE id = ANY(ARRAY(SELECT id FROM chosen WHERE cardinality(jobs) <= room))
),
shortened AS (
    UPDATE dispatches d SET jobs = c.jobs[c.room + 1:]
    FROM chosen c
    WHERE d.id = ANY(ARRAY[c.id]) AND cardinality(c.jobs) > c.room
),
wanted AS MATERIALIZED (
    SELECT DISTINCT u.id FROM chosen, unnest(chosen.jobs[1:chosen.room]) AS u (id)
),
queued AS MATERIALIZED (
    SELECT id, version, queue, run_timeout_ms, webhook_url, webhook_events, deadline FROM jobs
    WHERE id = ANY(ARRAY(SELECT id FROM wanted))
        AND id BETWEEN (SELECT id FROM wanted ORDER BY id LIMIT 1) AND (SELECT id FROM wanted ORDER BY id DESC LIMIT 1)
        AND status = 'queued'
    ORDER BY id
    FOR UPDATE
),
-- Their dispatches go, so their timers must be there (`set_late_timers.sql`).
late AS (
    INSERT INTO timers (job_id, purpose, due_at)
    SELECT id, 'expire', deadline FROM queued WHERE deadline <= now()
    ON CONFLICT DO NOTHING
),
locked AS MATERIALIZED (
    SELECT * FROM queued WHERE deadline IS NULL OR deadline > now()
),
assigned AS MATERIALIZED (
    SELECT id, queue, ($5::uuid[])[(row_number() OVER (ORDER BY id))::integer] AS worker,
        now() + run_timeout_ms * interval '1 millisecond' AS run_until
    FROM locked
),
announced AS (
    INSERT INTO deliveries (job_id, version, event, receiver)
    SELECT id, version + 1, 'job.started', receiver_of(webhook_url)
    FROM locked WHERE 'job.started' = ANY(webhook_events)
    ON CONFLICT DO NOTHING
),
registered AS (
    INSERT INTO workers (id, name, ttl, started_at, heartbeat_at, run_until, report)
    SELECT worker, $6, make_interval(secs => $7), clock_timestamp(), clock_timestamp(), run_until,
        json_build_object('slots', 1, 'queues', json_build_array(json_build_object('queue', queue, 'running', 1)))::text
    FROM assigned
),
leased AS (
    INSERT INTO leases (id, worker, jobs) SELECT worker, worker, ARRAY[id] FROM assigned
)
UPDATE jobs j SET
    status = 'in_progress',
    version = j.version + 1,
    attempt = j.attempt + 1,
    worker = a.worker,
    token = gen_random_uuid(),
    started_at = now(),
    next_attempt_at = NULL,
    progress = NULL
FROM assigned a
WHERE j.id = ANY(ARRAY[a.id]) AND j.status = 'queued'
RETURNING j.id, j.attempt, j.token, j.worker, j.kind, j.queue, j.version, j.input_type,
    COALESCE(octet_length(j.input), 0)::bigint AS input_size, CASE WHEN octet_length(j.input) <= $8::bigint THEN j.input END AS input,
    j.input_blob, j.max_attempts, j.deadline, j.traceparent, a.run_until, clock_timestamp() + make_interval(secs => $7) AS lease_until

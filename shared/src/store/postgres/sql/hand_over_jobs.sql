-- Hands running jobs over to incarnations of their own, each only if it is still the attempt that the worker claims it to be.
-- Nobody sees a difference: the status stays, and so does the version.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::uuid[], $5::uuid[])
        AS g (id, attempt, token, worker, incarnation)
),
unleased AS (
    DELETE FROM leases WHERE id = ANY($6)
),
locked AS MATERIALIZED (
    SELECT id, attempt, token, worker, queue, started_at + run_timeout_ms * interval '1 millisecond' AS run_until
    FROM jobs
    WHERE id = ANY($1) AND id BETWEEN $7 AND $8 AND status = 'in_progress'
    ORDER BY id
    FOR UPDATE
),
theirs AS MATERIALIZED (
    SELECT g.id, g.incarnation, l.queue, l.run_until, l.worker = g.incarnation AS had
    FROM given g
    JOIN locked l ON l.id = g.id AND l.attempt = g.attempt AND l.token = g.token AND l.worker IN (g.worker, g.incarnation)
),
registered AS (
    INSERT INTO workers (id, name, ttl, started_at, heartbeat_at, run_until, awaits_upstream, report)
    -- The end of its run comes first; the lease is for when nobody was there to see that.
    SELECT incarnation, 'upstream', GREATEST(run_until - now(), interval '0') + interval '1 minute',
        clock_timestamp(), clock_timestamp(), run_until, true,
        json_build_object(
            'awaits_upstream', true, 'queues', json_build_array(json_build_object('queue', queue, 'running', 1))
        )::text
    FROM theirs WHERE NOT had
),
leased AS (
    INSERT INTO leases (id, worker, jobs) SELECT incarnation, incarnation, ARRAY[id] FROM theirs WHERE NOT had
),
moved AS (
    UPDATE jobs j SET worker = t.incarnation
    FROM theirs t
    WHERE NOT t.had AND j.id = ANY(ARRAY[t.id]) AND j.status = 'in_progress'
    RETURNING j.id
)
SELECT id FROM moved
UNION ALL
-- Sent before, and done then.
SELECT id FROM theirs WHERE had

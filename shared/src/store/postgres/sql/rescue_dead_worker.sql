-- Finds one dead worker, buries it, and gives its jobs back.
--
-- A remote worker shows its life through the API, so while that was away it could not either: one is only judged by whoever
-- has listened for a whole lease ($3).
--
-- While the server itself was away nobody could renew: a worker is only judged once the server has been up for a whole
-- lease. The checkpointer starts anew after a crash that the postmaster survives (who may not see it sees no row).
-- Nobody is judged by a look that began longer after it was sent ($4, by this clock) than $5: then the server was away, frozen
-- for instance, and reads now what was sent before it thawed, with a $2 of that time. Perhaps nobody waits for the answer.
WITH up AS MATERIALIZED (
    SELECT LEAST(
        $2::bigint * interval '1 millisecond',
        now() - pg_postmaster_start_time(),
        now() - (SELECT max(backend_start) FROM pg_stat_activity WHERE backend_type = 'checkpointer')
    ) AS since
),
dead AS MATERIALIZED (
    SELECT w.id FROM workers w
    WHERE w.ttl <= (SELECT since FROM up)
        AND now() - $4::timestamptz <= $5::bigint * interval '1 millisecond'
        AND (w.run_until IS NULL OR w.ttl <= $3::bigint * interval '1 millisecond')
        AND (
            w.heartbeat_at < now() - w.ttl
            -- A free lock alone could be a worker that is just taking it again after a break in its connection, which
            -- it does within the second between two renewals. A quarter more, and the renewal has not come either.
            OR w.heartbeat_at < now() - interval '1250 milliseconds' AND w.lock_key IS NOT NULL AND NOT EXISTS (
                SELECT FROM pg_locks l
                WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
                    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                    AND l.classid::bigint = (w.lock_key >> 32) & 4294967295
                    AND l.objid::bigint = w.lock_key & 4294967295
            )
        )
    ORDER BY w.heartbeat_at
    LIMIT 1
    FOR UPDATE OF w SKIP LOCKED
),
-- Read here and deleted last, after the jobs: whoever ends jobs takes them in this order, and two that do not would deadlock.
-- One that comes in between is the claim below; one that goes has ended its jobs.
leased AS MATERIALIZED (
    SELECT jobs FROM leases WHERE worker = (SELECT id FROM dead)
),
unleased AS (
    DELETE FROM leases WHERE worker = (SELECT id FROM dead)
),
-- Fails on the leases' foreign key when the worker, half dead, is claiming at this very moment: then it is tried again.
buried AS (
    DELETE FROM workers WHERE id = (SELECT id FROM dead) RETURNING id
),
held AS MATERIALIZED (
    SELECT DISTINCT u.id FROM leased, unnest(leased.jobs) AS u (id)
),
locked AS MATERIALIZED (
    SELECT id, attempt, crashes, cancel_requested_at FROM jobs
    WHERE id = ANY(ARRAY(SELECT id FROM held))
        AND id BETWEEN (SELECT id FROM held ORDER BY id LIMIT 1) AND (SELECT id FROM held ORDER BY id DESC LIMIT 1)
        AND status = 'in_progress' AND worker = (SELECT id FROM dead)
    ORDER BY id
    FOR UPDATE
),
-- domain::apply in SQL.
decided AS MATERIALIZED (
    SELECT id, CASE
        WHEN cancel_requested_at IS NOT NULL THEN 'canceled'
        WHEN crashes + 1 >= $1 THEN 'failed'
        ELSE 'queued'
    END AS status,
    json_build_object(
        'code', 'worker-lost',
        'message', 'the worker died while it ran this; deaths under this job: ' || crashes + 1,
        'retryable', false,
        'attempt', attempt
    )::text AS error
    FROM locked
),
moved AS (
    UPDATE jobs j SET
        status = d.status,
        version = j.version + 1,
        attempt = j.attempt - CASE WHEN d.status = 'queued' THEN 1 ELSE 0 END,
        crashes = j.crashes + CASE WHEN d.status = 'canceled' THEN 0 ELSE 1 END,
        token = NULL,
        finished_at = CASE WHEN d.status <> 'queued' THEN now() END,
        expires_at = CASE WHEN d.status <> 'queued' THEN now() + kept_for(j.retention_seconds, j.idempotency_key) END,
        error = CASE WHEN d.status = 'failed' THEN d.error END,
        attempts = CASE WHEN d.status = 'failed'
            THEN j.attempts || failed_attempt(j.started_at, now(), j.worker, d.error) ELSE j.attempts END
    FROM decided d
    WHERE j.id = ANY(ARRAY[d.id]) AND j.status = 'in_progress'
    RETURNING j.id, j.version, j.status, j.queue, j.kind, j.priority, j.dispatch_width, j.tenant, j.express, j.batch_id,
        j.webhook_url, j.webhook_events, j.line, j.deadline
),
untimed AS (
    DELETE FROM timers t
    USING (
        SELECT job_id, purpose FROM timers
        WHERE job_id = ANY(ARRAY(SELECT id FROM moved WHERE status = 'canceled')) AND purpose = 'revoke'
        FOR UPDATE SKIP LOCKED
    ) gone
    WHERE t.job_id = ANY(ARRAY(SELECT id FROM moved WHERE status = 'canceled'))
        AND t.job_id = gone.job_id AND t.purpose = gone.purpose
),
-- As in `finish_jobs.sql`.
bounded AS (
    INSERT INTO timers (job_id, purpose, due_at)
    SELECT id, 'expire', deadline FROM moved WHERE status = 'queued' AND deadline IS NOT NULL
    ON CONFLICT DO NOTHING
),
announced AS (
    INSERT INTO deliveries (job_id, version, event, receiver)
    SELECT id, version, 'job.' || status, receiver_of(webhook_url)
    FROM moved WHERE 'job.' || status = ANY(webhook_events)
    ON CONFLICT DO NOTHING
),
waiting AS (
    INSERT INTO dispatches (queue, band, kind, tenant, jobs)
    SELECT queue, band, kind, tenant, array_agg(id ORDER BY id)
    FROM (
        SELECT id, queue, lane_of(priority, express) AS band, kind, tenant, dispatch_width, (row_number() OVER (
            PARTITION BY queue, lane_of(priority, express), kind, tenant, dispatch_width ORDER BY id
        ) - 1) / dispatch_width AS chunk
        FROM moved WHERE status = 'queued' AND line IS NULL
    ) w
    GROUP BY queue, band, kind, tenant, dispatch_width, chunk
    RETURNING id, queue, band, kind, jobs
),
parked AS (
    INSERT INTO parked_jobs (job_id, line, band, queue, tenant)
    SELECT id, line, lane_of(priority, express), queue, tenant FROM moved WHERE status = 'queued' AND line IS NOT NULL
)
SELECT id AS job, version, status, NULL::bigint AS dispatch, NULL::text AS queue, NULL::smallint AS band,
    NULL::text AS kind, NULL::uuid[] AS jobs, NULL::bigint AS taken,
    -- Counted once for each batch, whatever came of how many of its jobs; nothing to do for those of none.
    (SELECT count_ends(array_agg(batch_id), array_agg(status)) FROM moved
        WHERE batch_id IS NOT NULL AND status <> 'queued' HAVING count(*) > 0) AS counted,
    NULL::timestamptz AS time, NULL::boolean AS is_late
FROM moved
UNION ALL
SELECT NULL, NULL, NULL, id, queue, band, kind, jobs, NULL, NULL, NULL, NULL FROM waiting
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, NULL, NULL, NULL FROM buried
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, clock_timestamp(), now() - $4 > $5 * interval '1 millisecond'

-- Takes what waits longest, without a broker: dispatches of about $5 jobs in all. Bands share by their weights, as they do over
-- the broker (domain::Turns). One claim knows nothing of the one before, so what a small one takes first is drawn by lot.
WITH turn AS MATERIALIZED (
    SELECT band::smallint, weight, random() AS luck FROM (VALUES (3, 10), (2, 6), (1, 3), (0, 1)) AS v (band, weight)
),
near AS MATERIALIZED (
    SELECT id, (row_number() OVER (PARTITION BY band ORDER BY id) - luck) / weight AS place
    FROM (
        SELECT d.id, t.band, t.weight, t.luck
        FROM unnest($1::text[]) AS q (queue)
        CROSS JOIN unnest($2::text[]) AS k (kind)
        CROSS JOIN turn t
        CROSS JOIN LATERAL (
            SELECT id FROM dispatches
            WHERE queue = q.queue AND kind = k.kind AND band = t.band
            -- In the order of the index.
            ORDER BY id + 0
            -- More than will be taken: others are taking from the same end.
            LIMIT 8 * $5
        ) d
    ) w
    ORDER BY place
    LIMIT 8 * $5
),
taken AS MATERIALIZED (
    SELECT d.id, d.jobs, near.place
    FROM near
    JOIN dispatches d ON d.id = ANY(ARRAY[near.id])
    ORDER BY near.place
    LIMIT $5
    FOR UPDATE OF d SKIP LOCKED
),
chosen AS MATERIALIZED (
    SELECT id, jobs FROM (
        SELECT id, jobs, sum(cardinality(jobs)) OVER (ORDER BY place, id) - cardinality(jobs) AS jobs_before
        FROM taken
    ) t
    WHERE jobs_before < $5
),
cleared AS (
    DELETE FROM dispatches WHERE id = ANY(ARRAY(SELECT id FROM chosen))
),
wanted AS MATERIALIZED (
    SELECT DISTINCT u.id FROM chosen, unnest(chosen.jobs) AS u (id)
),
queued AS MATERIALIZED (
    SELECT id, version, webhook_url, webhook_events, deadline FROM jobs
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
announced AS (
    INSERT INTO deliveries (job_id, version, event, receiver)
    SELECT id, version + 1, 'job.started', receiver_of(webhook_url)
    FROM locked WHERE 'job.started' = ANY(webhook_events)
    ON CONFLICT DO NOTHING
),
leased AS (
    INSERT INTO leases (id, worker, jobs)
    SELECT $4, $3, array_agg(id) FROM locked HAVING count(*) > 0
)
UPDATE jobs SET
    status = 'in_progress',
    version = version + 1,
    attempt = attempt + 1,
    worker = $3,
    token = gen_random_uuid(),
    started_at = now(),
    next_attempt_at = NULL,
    progress = NULL
WHERE id = ANY(ARRAY(SELECT id FROM locked))
    AND id BETWEEN (SELECT id FROM locked ORDER BY id LIMIT 1) AND (SELECT id FROM locked ORDER BY id DESC LIMIT 1)
    AND status = 'queued'
RETURNING id, attempt, token, kind, queue, version, input, input_type, max_attempts, run_timeout_ms, deadline, crashes,
    traceparent, tenant, input_blob

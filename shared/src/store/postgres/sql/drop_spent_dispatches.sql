-- Looks at the dispatches after the id $1, as many as hold about $2 jobs, and takes out of them what waits no more: jobs that were
-- canceled or have expired. A job that waits again has a dispatch of its own, so one that does not wait now is never waited for
-- here again. Says where the next look begins (NULL: at the first) and how many jobs count no more.
WITH near AS MATERIALIZED (
    -- One more than can be looked at, which tells whether that was all.
    SELECT id, jobs FROM dispatches WHERE id > $1 ORDER BY id LIMIT $2 + 1
),
page AS MATERIALIZED (
    SELECT id, jobs FROM (
        SELECT id, jobs, sum(cardinality(jobs)) OVER (ORDER BY id) - cardinality(jobs) AS jobs_before FROM near
    ) n
    WHERE jobs_before < $2
),
some_gone AS MATERIALIZED (
    SELECT id FROM page WHERE EXISTS (
        SELECT FROM unnest(page.jobs) AS u (job)
        -- One by one by their key, and not as a join: a plan made while there were few jobs would read all there are later.
        WHERE (SELECT j.status FROM jobs j WHERE j.id = u.job) IS DISTINCT FROM 'queued'
    )
),
-- Whoever claims or leases one takes it first and its jobs then; nobody is waited for here.
locked AS MATERIALIZED (
    SELECT id, jobs FROM dispatches WHERE id = ANY(ARRAY(SELECT id FROM some_gone)) ORDER BY id FOR UPDATE SKIP LOCKED
),
rest AS MATERIALIZED (
    SELECT id, cardinality(jobs) AS held, ARRAY(
        SELECT u.job FROM unnest(locked.jobs) WITH ORDINALITY AS u (job, place)
        WHERE (SELECT j.status FROM jobs j WHERE j.id = u.job) = 'queued'
        ORDER BY u.place
    ) AS jobs
    FROM locked
),
dropped AS (
    DELETE FROM dispatches WHERE id = ANY(ARRAY(SELECT id FROM rest WHERE jobs = '{}'))
),
-- Its message names more jobs than it has then: the claim takes those that wait, and knows it by any of them.
shortened AS (
    UPDATE dispatches d SET jobs = r.jobs
    FROM rest r
    WHERE d.id = ANY(ARRAY[r.id]) AND r.jobs <> '{}'
)
SELECT CASE WHEN looked.last < (SELECT max(id) FROM near) THEN looked.last END AS next,
    (SELECT COALESCE(sum(held - cardinality(jobs)), 0) FROM rest)::bigint AS jobs
FROM (SELECT max(id) AS last FROM page) looked

-- Records that a receiver was told of progress: of the job as it was at version $4. What came since is told next, under the
-- version that the job has now and so by another id, and takes this one's place.
WITH job AS MATERIALIZED (
    -- Whatever it says, and before the delivery, in the order of those who report progress: either this waits for theirs and
    -- sees it, or they see this one through.
    SELECT version, status, progress FROM jobs WHERE id = $1 FOR SHARE
),
newer AS MATERIALIZED (
    SELECT max(version) AS version FROM job
    WHERE status = 'in_progress' AND progress IS NOT NULL AND version > $4
)
UPDATE deliveries d SET
    version = COALESCE(newer.version, d.version),
    created_at = CASE WHEN newer.version IS NULL THEN d.created_at
        ELSE GREATEST(now(), d.created_at + interval '1 second') END,
    state = CASE WHEN newer.version IS NULL THEN 'delivered' ELSE 'pending' END,
    next_at = CASE WHEN newer.version IS NOT NULL THEN GREATEST(now(), d.created_at + interval '1 second') END,
    tries = CASE WHEN newer.version IS NULL THEN d.tries + 1 ELSE 0 END,
    attempts = CASE WHEN newer.version IS NULL THEN d.attempts + 1 ELSE 0 END,
    changes = d.changes + 1,
    last_status = CASE WHEN newer.version IS NULL THEN $5 END,
    history = CASE WHEN newer.version IS NULL
        THEN (d.history || $6::text)[GREATEST(1, cardinality(d.history) + 2 - $7):] ELSE '{}' END
FROM newer
WHERE d.job_id = $1 AND d.version = $2 AND d.claims = $3 AND d.state = 'pending'
RETURNING d.job_id

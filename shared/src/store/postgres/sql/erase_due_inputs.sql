-- Erases inputs that are due. One whose job has not ended cannot be due before it has waited once more, counted from now; a
-- minute at least, so that a short wish and a long job do not make many looks.
WITH due AS MATERIALIZED (
    SELECT job_id, make_interval(secs => keep_seconds) AS keep FROM erasures
    WHERE look_at <= now()
    ORDER BY look_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
),
found AS MATERIALIZED (
    SELECT due.job_id, due.keep, j.id IS NOT NULL AS is_known, j.finished_at + due.keep AS erase_at
    FROM due LEFT JOIN jobs j ON j.id = due.job_id
),
erased AS (
    UPDATE jobs j SET input = '', input_blob = NULL, input_type = 'application/octet-stream', input_erased_at = now()
    FROM found
    WHERE j.id = ANY(ARRAY[found.job_id]) AND found.erase_at <= now() AND j.finished_at IS NOT NULL
),
settled AS (
    DELETE FROM erasures e USING found
    WHERE e.job_id = found.job_id AND (NOT found.is_known OR found.erase_at <= now())
),
later AS (
    UPDATE erasures e SET look_at = COALESCE(found.erase_at, now() + GREATEST(found.keep, interval '1 minute'))
    FROM found
    WHERE e.job_id = found.job_id AND found.is_known AND (found.erase_at IS NULL OR found.erase_at > now())
)
SELECT count(*) AS seen FROM due

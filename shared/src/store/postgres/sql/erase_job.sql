-- Erases what an ended job was given and made. Judged by the row that was locked, which can be newer than the snapshot.
WITH job AS MATERIALIZED (
    SELECT id, status, erased_at FROM jobs
    WHERE id = $1 AND (expires_at IS NULL OR expires_at > now())
    FOR UPDATE
),
erased AS (
    UPDATE jobs j SET
        version = j.version + 1,
        erased_at = now(),
        input_erased_at = COALESCE(j.input_erased_at, now()),
        input = '',
        input_blob = NULL,
        result_blob = NULL,
        input_type = 'application/octet-stream',
        -- the schema wants a result of what succeeded: nothing, and the digest of nothing
        result = CASE WHEN j.result IS NOT NULL THEN ''::bytea END,
        result_type = CASE WHEN j.result IS NOT NULL THEN 'application/octet-stream' END,
        result_digest = CASE WHEN j.result IS NOT NULL THEN sha256(''::bytea) END,
        progress = NULL,
        error = CASE WHEN j.error IS NOT NULL THEN json_build_object(
            'code', j.error::json -> 'code', 'message', 'erased', 'retryable', j.error::json -> 'retryable',
            'attempt', j.error::json -> 'attempt')::text END,
        attempts = '{}'
    FROM job
    WHERE j.id = $1 AND j.id = job.id AND job.erased_at IS NULL
        AND job.status IN ('succeeded', 'failed', 'canceled', 'expired')
    RETURNING j.id, j.version
),
unlogged AS (
    DELETE FROM job_logs WHERE job_id = $1 AND EXISTS (SELECT FROM erased)
),
settled AS (
    DELETE FROM erasures WHERE job_id = $1 AND EXISTS (SELECT FROM erased)
)
SELECT job.id, job.status, erased.version AS erased_version FROM job LEFT JOIN erased ON erased.id = job.id

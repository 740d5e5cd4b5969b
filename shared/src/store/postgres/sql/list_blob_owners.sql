-- What rows say of blobs. One whose retention is over is not shown any more, so it needs none.
SELECT
    id,
    CASE WHEN status = 'in_progress' THEN token END AS running,
    CASE WHEN expires_at <= now() THEN NULL ELSE input_blob END AS input_blob,
    CASE WHEN expires_at <= now() THEN NULL ELSE result_blob END AS result_blob
FROM jobs
WHERE id = ANY($1) AND id BETWEEN $2 AND $3

-- The oldest of the latest jobs that has a blob which is shown. No index tells, and to look at all of them would take minutes.
SELECT id
FROM (SELECT id, input_blob, result_blob, expires_at FROM jobs ORDER BY id DESC LIMIT 5000) AS latest
WHERE (input_blob IS NOT NULL OR result_blob IS NOT NULL) AND (expires_at IS NULL OR expires_at > now())
ORDER BY id
LIMIT 1

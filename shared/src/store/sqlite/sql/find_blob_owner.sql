-- The oldest of the latest jobs that has a blob which is shown. No index tells, and to look at all of them would take minutes:
-- the names of blobs stand behind all that is kept inline in a row.
SELECT id
FROM (SELECT id, input_blob, result_blob, expires_at FROM jobs ORDER BY id DESC LIMIT 2000) AS latest
WHERE (input_blob IS NOT NULL OR result_blob IS NOT NULL) AND (expires_at IS NULL OR expires_at > ?1)
ORDER BY id
LIMIT 1

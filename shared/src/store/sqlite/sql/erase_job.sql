UPDATE jobs SET
    version = version + 1,
    erased_at = ?2,
    input_erased_at = coalesce(input_erased_at, ?2),
    input = x'',
    input_blob = NULL,
    result_blob = NULL,
    input_type = 'application/octet-stream',
    -- the schema wants a result of what succeeded: nothing, and the digest of nothing
    result = CASE WHEN result IS NOT NULL THEN x'' END,
    result_type = CASE WHEN result IS NOT NULL THEN 'application/octet-stream' END,
    result_digest = CASE WHEN result IS NOT NULL
        THEN x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' END,
    progress = NULL,
    error = json_set(json_remove(error, '$.detail'), '$.message', 'erased'),
    attempts = '[]'
WHERE id = ?1

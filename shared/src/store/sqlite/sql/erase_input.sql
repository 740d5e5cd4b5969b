UPDATE jobs SET input = x'', input_blob = NULL, input_type = 'application/octet-stream', input_erased_at = ?2 WHERE id = ?1 AND finished_at IS NOT NULL

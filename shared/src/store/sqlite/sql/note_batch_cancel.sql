UPDATE batches SET cancel_requested_at = ?3 WHERE id = ?1 AND tenant = ?2 AND finished_at IS NULL AND cancel_requested_at IS NULL

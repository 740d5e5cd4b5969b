SELECT jobs.id, status
FROM batches, json_each(batches.items) AS item
JOIN jobs ON jobs.id = unhex(item.value)
WHERE batches.id = ?1 AND batches.finished_at IS NULL AND jobs.batch_id = ?1 AND jobs.finished_at IS NULL
ORDER BY jobs.id

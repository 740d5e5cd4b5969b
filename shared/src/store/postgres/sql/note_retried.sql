UPDATE jobs SET retried_by = $2 WHERE id = $1 AND retried_by IS NULL

UPDATE batches SET items = $2, total = $3 WHERE id = $1

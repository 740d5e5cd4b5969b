UPDATE batches SET items = $2, total = $3, webhook_url = $4 WHERE id = $1

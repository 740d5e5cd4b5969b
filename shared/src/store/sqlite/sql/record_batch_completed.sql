INSERT INTO batch_events (batch_id, event, created_at) VALUES (?1, 'batch.completed', ?2)

INSERT INTO timers (job_id, purpose, due_at, worker) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (job_id, purpose) DO UPDATE SET due_at = excluded.due_at, worker = excluded.worker

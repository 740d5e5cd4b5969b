INSERT INTO dispatches (queue, band, kind, jobs, created_at, publish_after, tenant) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)

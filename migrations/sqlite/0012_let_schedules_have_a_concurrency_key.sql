-- The twin of postgres/0012.
ALTER TABLE schedules ADD COLUMN concurrency_key TEXT;

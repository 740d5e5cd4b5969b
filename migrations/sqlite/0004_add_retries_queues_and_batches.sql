-- The twin of postgres/0004.
--
-- They stand behind the input, where SQLite puts what is added. A NULL costs nothing even so: the head of a row tells it,
-- and the input is not walked through.

ALTER TABLE jobs ADD COLUMN retry_of BLOB;
ALTER TABLE jobs ADD COLUMN batch_id BLOB;

-- Queues of which nothing new is started. A queue that is not in here is open.
CREATE TABLE paused_queues (
    name      TEXT    NOT NULL PRIMARY KEY,
    paused_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a worker says of itself with each renewal, as `domain::WorkerReport` writes it: one write that is made anyway.
ALTER TABLE workers ADD COLUMN report TEXT; -- JSON

-- The twin of postgres/0004.
--
-- They stand behind the input, where SQLite puts what is added. A NULL costs nothing even so: the head of a row tells it,
-- and the input is not walked through.

ALTER TABLE jobs ADD COLUMN retry_of BLOB;
ALTER TABLE jobs ADD COLUMN batch_id BLOB;

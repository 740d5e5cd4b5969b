-- The twin of postgres/0006. With a blob, `input` and `result` are empty: SQLite cannot take a NOT NULL back.
--
-- These stand behind the payloads, and cost a status read nothing there: that a value is null stands at the row's start.

ALTER TABLE jobs ADD COLUMN input_blob TEXT;
ALTER TABLE jobs ADD COLUMN result_blob TEXT;

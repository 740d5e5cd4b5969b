-- The twin of postgres/0009.

ALTER TABLE workers ADD COLUMN run_until INTEGER;

-- The twin of postgres/0011.

ALTER TABLE workers ADD COLUMN awaits_upstream INTEGER NOT NULL DEFAULT 0;

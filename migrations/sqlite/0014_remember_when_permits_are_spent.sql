-- Permits of a rate: when they count no more, noted once the job that each was given for has started. Without it every look
-- reads the jobs of all starts within the period.
ALTER TABLE permits ADD COLUMN spent_at INTEGER;

CREATE INDEX permits_spent ON permits (name, spent_at);
DROP INDEX permits_name;

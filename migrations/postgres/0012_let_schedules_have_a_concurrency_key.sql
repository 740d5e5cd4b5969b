-- What limits per key go by, of the jobs that a schedule makes. Not in `options`: programs of the release before read those,
-- and refuse what they do not know.
ALTER TABLE schedules ADD COLUMN concurrency_key text;

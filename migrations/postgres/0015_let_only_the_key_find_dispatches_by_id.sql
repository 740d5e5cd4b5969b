-- Where workers find work while the broker is away. In order of id, and of no use to who looks for an id: the planner holds an
-- index over a table that is empty most of the time for as good as any other, and to look for an id in one that begins with the
-- queue is to read all of it. While an old snapshot is held, as by a backup, whatever was cleared since is still in there.
DROP INDEX dispatches_waiting;
CREATE INDEX dispatches_waiting ON dispatches (queue, kind, band, (id + 0));

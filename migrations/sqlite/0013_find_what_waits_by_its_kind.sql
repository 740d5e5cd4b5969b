-- Where workers find work, remote ones first of all: without it each look of theirs reads all that waits.
CREATE INDEX dispatches_waiting ON dispatches (kind, queue, tenant, band, id);

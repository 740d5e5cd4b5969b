-- The twin of postgres/0007.

-- Its one event is `batch.completed`; the delivery stands in `deliveries` under the batch's id and version 0, which no event
-- of a job has. `batch_events` is not written any more, and goes a release later.
ALTER TABLE batches ADD COLUMN webhook_url TEXT;

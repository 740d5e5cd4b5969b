-- A batch that has ended can be told to a webhook.

-- Never changes. Its one event is `batch.completed`; the delivery stands in `deliveries` under the batch's id and version 0,
-- which no event of a job has, since a job begins with version 1.
ALTER TABLE batches ADD COLUMN webhook_url text;

-- As before, but that the end of the last job makes a delivery where somebody wants to hear of it, in the same commit. What
-- `batch_events` held is told by `finished_at`: nothing is written there any more, and the table goes a release later.
CREATE OR REPLACE FUNCTION count_ends(batch_ids uuid[], statuses text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    ended record;
    over  timestamptz;
    url   text;
BEGIN
    FOR ended IN
        SELECT e.id,
            count(*) FILTER (WHERE e.status = 'succeeded') AS succeeded,
            count(*) FILTER (WHERE e.status = 'failed') AS failed,
            count(*) FILTER (WHERE e.status = 'canceled') AS canceled,
            count(*) FILTER (WHERE e.status = 'expired') AS expired,
            count(*) AS jobs
        FROM unnest(batch_ids, statuses) AS e (id, status)
        GROUP BY e.id
        ORDER BY e.id
    LOOP
        UPDATE batches b SET
            succeeded = b.succeeded + ended.succeeded,
            failed = b.failed + ended.failed,
            canceled = b.canceled + ended.canceled,
            expired = b.expired + ended.expired,
            finished_at = CASE WHEN b.succeeded + b.failed + b.canceled + b.expired + ended.jobs = b.total THEN now() END,
            expires_at = CASE WHEN b.succeeded + b.failed + b.canceled + b.expired + ended.jobs = b.total
                THEN now() + kept_for(b.retention_seconds, b.key) END
        WHERE b.id = ended.id
        RETURNING b.finished_at, b.webhook_url INTO over, url;
        IF over IS NOT NULL AND url IS NOT NULL THEN
            INSERT INTO deliveries (job_id, version, event, receiver)
            VALUES (ended.id, 0, 'batch.completed', receiver_of(url));
        END IF;
    END LOOP;
    RETURN cardinality(batch_ids);
END
$$;

-- Counts one end, and answers when the batch ended if that was its last.
UPDATE batches SET
    succeeded = succeeded + (?2 = 'succeeded'),
    failed = failed + (?2 = 'failed'),
    canceled = canceled + (?2 = 'canceled'),
    expired = expired + (?2 = 'expired'),
    finished_at = CASE WHEN succeeded + failed + canceled + expired + 1 = total THEN ?3 END,
    expires_at = CASE WHEN succeeded + failed + canceled + expired + 1 = total
        THEN ?3 + 1000000 * max(retention_seconds, CASE WHEN key IS NULL THEN 0 ELSE 86400 END) END
WHERE id = ?1
RETURNING finished_at, webhook_url

-- The distance doubles with each time that it was published, up to a limit. What is taken counts as unpublished from
-- now on, held for the caller for a while.
UPDATE dispatches SET published_at = NULL, publish_after = ?7
WHERE id IN (
    SELECT id FROM dispatches
    WHERE queue = ?1 AND band = ?2 AND kind NOT IN (SELECT value FROM json_each(?8))
        AND published_at <= ?3 - min(?4 << min(max(publishes - 1, 0), 16), ?5)
    ORDER BY id
    LIMIT ?6)
RETURNING id, queue, band, kind, jobs

-- The distance doubles with each time it was published, up to a limit. Taking starts the distance anew, so that no
-- other loop takes it at the same time; the confirm of the new message is what counts as a publish.
UPDATE dispatches SET published_at = ?3
WHERE id IN (
    SELECT id FROM dispatches
    WHERE queue = ?1 AND band = ?2
        AND published_at <= ?3 - min(?4 << min(max(publishes - 1, 0), 20), ?5)
    ORDER BY id
    LIMIT ?6)
RETURNING id, queue, band, kind, jobs

-- What waits longest. Bands share by their weights, as they do over the broker (domain::Turns). One claim knows nothing of the
-- one before, so what a small one takes first is drawn by lot.
SELECT id, queue, band, kind, jobs FROM (
    SELECT id, queue, band, kind, jobs,
        (row_number() OVER (PARTITION BY band ORDER BY id)
            - CASE band WHEN 3 THEN ?4 WHEN 2 THEN ?5 WHEN 1 THEN ?6 ELSE ?7 END)
        / CASE band WHEN 3 THEN 10.0 WHEN 2 THEN 6.0 WHEN 1 THEN 3.0 ELSE 1.0 END AS place
    FROM dispatches
    WHERE queue IN (SELECT value FROM json_each(?1)) AND kind IN (SELECT value FROM json_each(?2)))
ORDER BY place
LIMIT ?3

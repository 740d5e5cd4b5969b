DELETE FROM dispatches WHERE id IN (SELECT value FROM json_each(?1))

-- One that still holds jobs stays, to be rescued.
DELETE FROM workers WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM leases WHERE worker = ?1)

DELETE FROM workers WHERE id = ?1 AND run_until IS NOT NULL AND NOT EXISTS (SELECT 1 FROM leases WHERE worker = ?1)

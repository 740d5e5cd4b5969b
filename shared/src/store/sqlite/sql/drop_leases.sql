DELETE FROM leases WHERE worker = ?1

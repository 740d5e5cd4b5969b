SELECT id, jobs FROM leases WHERE worker = ?1

DELETE FROM leases WHERE id = ?1 AND worker = ?2

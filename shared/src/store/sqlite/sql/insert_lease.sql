INSERT INTO leases (id, worker, jobs) VALUES (?1, ?2, ?3)

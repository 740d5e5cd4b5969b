SELECT count(*) FROM workers WHERE id = ?1

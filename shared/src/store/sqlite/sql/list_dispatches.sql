SELECT id, jobs FROM dispatches WHERE id > ?1 ORDER BY id LIMIT ?2

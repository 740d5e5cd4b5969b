UPDATE dispatches SET jobs = ?2 WHERE id = ?1

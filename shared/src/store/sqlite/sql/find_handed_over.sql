SELECT count(*) FROM jobs WHERE id = ?1 AND attempt = ?2 AND token = ?3 AND worker = ?4 AND status = 'in_progress'

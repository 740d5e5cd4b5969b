UPDATE deliveries SET next_at = ?4, claims = claims + 1
WHERE job_id = ?1 AND version = ?2 AND next_at <= ?3
RETURNING job_id, version, event, receiver, created_at, tries, claims

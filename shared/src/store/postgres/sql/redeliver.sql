-- Makes a delivery due again, with its whole schedule before it. Whoever is just sending it does not count any more.
UPDATE deliveries SET state = 'pending', next_at = now(), tries = 0, claims = claims + 1, changes = changes + 1
WHERE job_id = $1 AND version = $2
    AND CASE WHEN version = 0
        THEN EXISTS (SELECT FROM batches WHERE id = $1 AND (expires_at IS NULL OR expires_at > now()))
        ELSE EXISTS (SELECT FROM jobs WHERE id = $1 AND (expires_at IS NULL OR expires_at > now())) END
RETURNING job_id, version, event, created_at, state, attempts, next_at, history

-- Deletes forgotten batches, and what was told of them: their deliveries stand under version 0.
WITH gone AS (
    DELETE FROM batches
    WHERE id = ANY(ARRAY(SELECT id FROM batches WHERE expires_at <= now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))
    RETURNING id
),
untold AS (
    DELETE FROM deliveries WHERE job_id = ANY(ARRAY(SELECT id FROM gone)) AND version = 0
)
SELECT count(*) AS removed FROM gone

-- Deletes forgotten jobs of the default partition, which is never dropped, with their keys, logs and deliveries.
WITH gone AS (
    DELETE FROM jobs_default
    WHERE id = ANY(ARRAY(SELECT id FROM jobs_default WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED))
    RETURNING id, idempotency_key
),
keyless AS (
    DELETE FROM idempotency_keys k USING gone WHERE k.key = gone.idempotency_key AND k.job_id = gone.id
),
unlogged AS (
    DELETE FROM job_logs WHERE job_id = ANY(ARRAY(SELECT id FROM gone))
),
untold AS (
    DELETE FROM deliveries WHERE job_id = ANY(ARRAY(SELECT id FROM gone)) AND version > 0
)
SELECT count(*) AS removed FROM gone

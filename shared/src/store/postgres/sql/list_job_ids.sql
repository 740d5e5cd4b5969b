-- Looks at no more than $2 jobs, newest first, older than $1 and from $10 on, and answers which of them match ($3 at most), how many
-- it saw, and where it stopped. Bounded: a rare filter costs many small steps, never one endless scan.
WITH seen AS MATERIALIZED (
    SELECT id, (
        (expires_at IS NULL OR expires_at > now())
        AND (cardinality($4::text[]) = 0 OR status = ANY($4))
        AND ($5::text IS NULL OR kind = $5)
        AND ($6::text IS NULL OR queue = $6)
        AND (cardinality($7::text[]) = 0 OR $7 <@ tags)
        AND ($8::text IS NULL OR metadata::jsonb @> $8::jsonb)
        AND COALESCE(tenant, 'default') = $9
        AND ($11::text IS NULL OR error::json ->> 'code' = $11)
        AND (NOT $12 OR retried_by IS NULL)
    ) AS matches
    FROM jobs
    WHERE id < $1 AND id >= $10
    ORDER BY id DESC
    LIMIT $2
)
SELECT
    ARRAY(SELECT id FROM seen WHERE matches ORDER BY id DESC LIMIT $3) AS ids,
    (SELECT count(*) FROM seen) AS seen,
    (SELECT id FROM seen ORDER BY id LIMIT 1) AS last

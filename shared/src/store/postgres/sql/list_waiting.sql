SELECT queue, band, jobs[1] AS first, cardinality(jobs)::bigint AS waiting FROM dispatches ORDER BY id LIMIT $1

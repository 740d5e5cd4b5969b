SELECT queue, band, substr(jobs, 1, 16) AS first, length(jobs) / 16 AS waiting FROM dispatches ORDER BY id LIMIT ?1

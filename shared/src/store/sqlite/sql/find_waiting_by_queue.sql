SELECT queue, sum(length(jobs) / 16) AS jobs, min(created_at) AS oldest FROM dispatches GROUP BY queue

SELECT EXISTS (SELECT FROM parked_jobs) AS any_parked

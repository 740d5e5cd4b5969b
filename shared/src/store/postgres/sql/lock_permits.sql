-- One look at a time, of however many processes: what one gives, the next one counts.
SELECT pg_advisory_xact_lock(5279483120741634048)

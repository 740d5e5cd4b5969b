-- Which of the given jobs wait.
SELECT id FROM jobs WHERE id IN (SELECT unhex(value) FROM json_each(?1)) AND status = 'queued'

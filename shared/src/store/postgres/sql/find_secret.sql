-- What is there stays; the update changes nothing, and makes it come back.
INSERT INTO secrets (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = secrets.value
RETURNING value

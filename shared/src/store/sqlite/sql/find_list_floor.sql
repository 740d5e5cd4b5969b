-- The oldest job that one step of a list looks at.
SELECT id FROM jobs WHERE id < ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2

-- A cancel ends an incarnation that nobody can tell of it: it is taken for dead at the next look.
UPDATE workers SET ttl_ms = 0 WHERE id = ?1 AND awaits_upstream

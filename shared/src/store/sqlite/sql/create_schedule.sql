INSERT INTO schedules (
    tenant, name, source, cron, catch_up, catch_up_most, kind, input, input_type, options, version, created_at, updated_at,
    paused_at, next_at,
    problem, configured_at, confirmed_at, concurrency_key)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
-- Somebody was quicker: theirs is read first.
ON CONFLICT DO NOTHING
RETURNING name

UPDATE schedules SET
    source = ?3, cron = ?4, catch_up = ?5, catch_up_most = ?6, kind = ?7, input = ?8, input_type = ?9, options = ?10,
    version = ?11, created_at = ?12, updated_at = ?13, paused_at = ?14, next_at = ?15, problem = ?16,
    configured_at = ?17, confirmed_at = ?18, concurrency_key = ?19
WHERE tenant = ?1 AND name = ?2

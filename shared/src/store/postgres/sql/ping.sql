-- Whether it can be written to, and whether the session has the settings that it was opened with (`database.rs`).
SELECT
    pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS is_read_only,
    current_setting('enable_seqscan') = 'off' AND current_setting('lock_timeout') <> '0' AS is_as_asked

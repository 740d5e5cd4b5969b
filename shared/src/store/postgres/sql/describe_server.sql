SELECT format(
    'PostgreSQL %s, synchronous_commit=%s, fsync=%s, full_page_writes=%s, max_connections=%s',
    current_setting('server_version'), current_setting('synchronous_commit'), current_setting('fsync'),
    current_setting('full_page_writes'), current_setting('max_connections')
) AS description

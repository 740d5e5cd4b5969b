SELECT format(
    'PostgreSQL %s, synchronous_commit=%s, fsync=%s, full_page_writes=%s, max_connections=%s',
    current_setting('server_version'), current_setting('synchronous_commit'), current_setting('fsync'),
    current_setting('full_page_writes'), current_setting('max_connections')
) || CASE
    -- An API makes the partitions of the days to come.
    WHEN NOT pg_has_role(relowner, 'USAGE') THEN ', tables=of another role'
    ELSE ''
END || CASE
    WHEN has_schema_privilege(current_schema()::text, 'CREATE') THEN ''
    ELSE ', create in schema=refused'
END AS description
FROM (SELECT to_regclass('jobs') AS jobs) AS found LEFT JOIN pg_class ON pg_class.oid = found.jobs

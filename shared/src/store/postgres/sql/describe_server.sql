WITH
-- What statements do with each table. Columns of identity need no right to their sequence, and nothing uses `batch_events`.
needed (name, privileges) AS (VALUES
    ('_sqlx_migrations', 'SELECT'),
    ('api_keys', 'SELECT INSERT UPDATE'),
    ('batches', 'SELECT INSERT UPDATE DELETE'),
    ('deliveries', 'SELECT INSERT UPDATE DELETE'),
    ('dispatches', 'SELECT INSERT UPDATE DELETE'),
    ('erasures', 'SELECT INSERT UPDATE DELETE'),
    ('idempotency_keys', 'SELECT INSERT DELETE'),
    ('job_logs', 'SELECT INSERT DELETE'),
    ('jobs', 'SELECT INSERT UPDATE'),
    ('jobs_default', 'SELECT UPDATE DELETE'),
    ('leases', 'SELECT INSERT UPDATE DELETE'),
    ('parked_jobs', 'SELECT INSERT UPDATE DELETE'),
    ('paused_queues', 'SELECT INSERT DELETE'),
    ('permits', 'SELECT INSERT UPDATE DELETE'),
    ('schedules', 'SELECT INSERT UPDATE DELETE'),
    ('secrets', 'SELECT INSERT UPDATE'),
    ('timers', 'SELECT INSERT UPDATE DELETE'),
    ('workers', 'SELECT INSERT UPDATE DELETE')
),
lacks AS (
    SELECT name, string_agg(privilege, ', ' ORDER BY place) AS rights
    FROM needed, unnest(string_to_array(privileges, ' ')) WITH ORDINALITY AS split (privilege, place)
    -- Null, so no lack, for one that a migration is yet to make.
    WHERE NOT has_table_privilege(to_regclass(name), privilege)
    GROUP BY name
),
-- Most often it is the same of many.
told AS (
    SELECT rights, string_agg(name, ', ' ORDER BY name) AS names FROM lacks GROUP BY rights
)
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
END || COALESCE((
    -- Last: it has commas of its own.
    SELECT ', rights lacking: ' || string_agg(format('%s on %s', rights, names), '; ' ORDER BY names) FROM told
), '') AS description
FROM (SELECT to_regclass('jobs') AS jobs) AS found LEFT JOIN pg_class ON pg_class.oid = found.jobs

-- The server's clock, the partitions of `jobs` but the default one, and those that were detached but not yet dropped.
SELECT
    now() AS now,
    ARRAY(
        SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'jobs'::regclass AND c.relname ~ '^jobs_[0-9]{8}$'
        ORDER BY c.relname
    ) AS partitions,
    ARRAY(
        SELECT c.relname::text FROM pg_class c
        WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'jobs'::regclass)
            AND c.relname ~ '^retired_jobs_[0-9]{8}$' AND c.relkind = 'r'
        ORDER BY c.relname
    ) AS retired

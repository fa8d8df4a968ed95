-- How the server does, in one row; sessions are those of clients, of all databases.
WITH sessions AS (
    SELECT *, cardinality(pg_blocking_pids(pid)) > 0 AS is_blocked
    FROM pg_stat_activity
    WHERE backend_type = 'client backend'
)
SELECT
    extract(epoch FROM clock_timestamp())::float8 AS now,
    current_setting('max_connections')::int AS connections_max,
    (SELECT count(*) FROM sessions) AS connections_used,
    (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 FROM sessions
     WHERE pid <> pg_backend_pid()) AS longest_transaction_seconds,
    (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0)::float8 FROM sessions
     WHERE state = 'active' AND pid <> pg_backend_pid()) AS longest_query_seconds,
    (SELECT count(*) FROM sessions WHERE is_blocked) AS blocked_sessions,
    pg_is_in_recovery() AS in_recovery,
    pg_database_size(current_database()) AS size_bytes,
    stat.xact_commit, stat.xact_rollback, stat.deadlocks, stat.blks_hit, stat.blks_read, stat.temp_bytes
FROM pg_stat_database AS stat
WHERE stat.datname = current_database()

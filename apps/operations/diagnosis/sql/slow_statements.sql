-- What took long on average, of what was called often enough to be a habit; changes of the schema and COPY are long by
-- right and no queries of a client.
SELECT queryid, query, calls, mean_exec_time AS mean_ms, max_exec_time AS max_ms, rows
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND calls >= %(least_calls)s
  AND mean_exec_time >= %(least_mean_ms)s
  AND query !~* '^\s*(CREATE|ALTER|DROP|COPY|VACUUM|ANALYZE|REINDEX|CLUSTER|SET|BEGIN|COMMIT)\M'
ORDER BY total_exec_time DESC
LIMIT 10

SELECT pid, application_name, extract(epoch FROM clock_timestamp() - query_start)::float8 AS seconds, query,
       coalesce(wait_event_type || ': ' || wait_event, 'computes') AS waits_for
FROM pg_stat_activity
WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND clock_timestamp() - query_start > make_interval(secs => %(least_seconds)s)
ORDER BY query_start
LIMIT 10

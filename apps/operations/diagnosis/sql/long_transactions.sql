SELECT pid, usename, application_name, state, query,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds,
       extract(epoch FROM clock_timestamp() - state_change)::float8 AS in_state_seconds,
       usename = current_user AND datname = current_database() AS is_ours
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND clock_timestamp() - xact_start > make_interval(secs => %(least_seconds)s)
ORDER BY xact_start
LIMIT 20

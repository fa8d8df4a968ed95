SELECT waiting.pid, waiting.application_name, waiting.query,
       extract(epoch FROM clock_timestamp() - waiting.query_start)::float8 AS seconds,
       holding.pid AS held_by_pid, holding.application_name AS held_by, holding.state AS held_by_state,
       holding.query AS held_by_query
FROM pg_stat_activity AS waiting
CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS blocker (pid)
JOIN pg_stat_activity AS holding ON holding.pid = blocker.pid
WHERE clock_timestamp() - waiting.query_start > make_interval(secs => %(least_seconds)s)
ORDER BY waiting.query_start
LIMIT 20

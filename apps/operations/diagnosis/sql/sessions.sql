SELECT coalesce(nullif(application_name, ''), '(no name)') AS application, coalesce(state, 'starting') AS state,
       count(*) AS count
FROM pg_stat_activity
WHERE backend_type = 'client backend'
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2

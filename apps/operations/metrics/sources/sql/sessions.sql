-- Sessions of ours by the process that has them (postgresql/naming.py); of everybody else only how many there are.
SELECT CASE WHEN datname <> current_database() THEN 'other databases'
            WHEN application_name LIKE 'nautilus _%%' THEN substr(application_name, 10)
            ELSE 'others' END AS application,
       coalesce(state, 'unknown') AS state,
       count(*)
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
GROUP BY 1, 2
ORDER BY 1, 2
LIMIT 100

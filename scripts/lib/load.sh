# shellcheck shell=bash
# What the platform is busy with, for performance-emergency.sh. A backup's session is idle for as long as its dump takes.

# Sessions of the database by state, with the age of the oldest transaction among them.
show_connections() {
    sql "$(database_name)" <<<"SELECT coalesce(state, 'none'), count(*),
            coalesce(round(extract(epoch FROM max(now() - xact_start)))::text, '-')
        FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1 ORDER BY 2 DESC" |
        awk -F '\t' '{ printf "  %-30s %4d   oldest transaction %s s\n", $1, $2, $3 }'
}

# end_idle_transactions SECONDS: ends sessions that hold a transaction open and have done nothing for so long.
end_idle_transactions() {
    sql "$(database_name)" <<<"SELECT pid, application_name, round(extract(epoch FROM now() - state_change)), left(query, 60),
            pg_terminate_backend(pid)
        FROM pg_stat_activity
        WHERE state LIKE 'idle in transaction%' AND now() - state_change > interval '$1 seconds' AND pid <> pg_backend_pid()
            AND application_name IS DISTINCT FROM 'nautilus_backup'" |
        awk -F '\t' '{ printf "  ended pid %s (%s), idle for %s s after: %s\n", $1, $2, $3, $4 }'
}

show_idle_transactions() {
    sql "$(database_name)" <<<"SELECT pid, round(extract(epoch FROM now() - state_change)) FROM pg_stat_activity
        WHERE state LIKE 'idle in transaction%' AND now() - state_change > interval '$1 seconds'
            AND application_name IS DISTINCT FROM 'nautilus_backup'" |
        awk -F '\t' '{ printf "  would end pid %s, idle for %s s\n", $1, $2 }'
}

show_machine() {
    local load memory
    load=$(cut -d ' ' -f 1-3 /proc/loadavg) memory=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo)
    say "  load $load on $(getconf _NPROCESSORS_ONLN) cores, $memory MB of memory available"
}

# The components that tell of load, as the API says them.
show_queues() {
    api GET /api/v1/sprint3/system/health 2>/dev/null | python "$LIB/health_lines.py" |
        awk -F '\t' '$1 ~ /^(workers|queues|redis|websocket)$/ { printf "  %-4s %-10s %s\n", $2, $1, $3 }' ||
        say "  the API does not answer"
}

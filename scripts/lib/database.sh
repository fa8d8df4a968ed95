# shellcheck shell=bash
# Databases of the platform's PostgreSQL: asked, dumped, loaded, compared. Sourced by the scripts that need it.

# sql DATABASE: runs the SQL on stdin; columns stand between tabs. Stops at the first error.
sql() { postgres_program psql -X -q -A -t -F $'\t' -v ON_ERROR_STOP=1 -d "$1"; }

# The name of the platform's database.
database_name() {
    find_mode
    if [[ $MODE == compose ]]; then
        echo nautilus
    else
        local_environment
        echo "$PGDATABASE"
    fi
}

# PGCONNECT_TIMEOUT is for the handshake alone: one that stands still after it would be waited for for ever.
database_answers() { LIMIT_SECONDS=15 sql "$(database_name)" <<<'SELECT 1' >/dev/null 2>&1; }

# What is free on the disk of PostgreSQL's data; nothing where it does not tell its folder, or has it on another machine.
postgres_free_bytes() {
    local folder lines
    folder=$(sql postgres <<<'SHOW data_directory' 2>/dev/null) || return 0
    lines=$("${MODE}_postgres_df" "$folder" 2>/dev/null) || return 0
    echo $(($(awk 'NR == 2 { print $4 }' <<<"$lines") * 1024))
}

server_major() { sql postgres <<<"SELECT current_setting('server_version_num')::int / 10000"; }

fingerprints() { sql "$1" <"$LIB/fingerprints.sql"; }

has_data() {
    local found
    found=$(sql "$1" <<<"SELECT format('SELECT 1 FROM %I LIMIT 1', relname) FROM pg_class WHERE relkind = 'r'
        AND relname IN ('portfolios_portfolio', 'tasks_task', 'strategies_strategy', 'auth_user')
        AND relnamespace = 'public'::regnamespace \\gexec") || die "The database $1 cannot be read."
    [[ -n $found ]]
}

# pg_restore is given the dump on stdin: in compose it runs where the file is not.
load_dump() {
    local database=$1 dump=$2 options=(--exit-on-error --no-owner --no-privileges)
    if [[ $(has_timescaledb "$dump") == yes ]]; then
        load_hypertables "$database" "$dump" "${options[@]}"
    else
        postgres_program pg_restore "${options[@]}" --single-transaction -d "$database" <"$dump"
    fi
}

has_timescaledb() {
    if postgres_program pg_restore --list <"$1" | grep ' EXTENSION - timescaledb' >/dev/null; then echo yes; else echo no; fi
}

# As TimescaleDB's own documentation says: its triggers rest while rows are loaded.
load_hypertables() {
    sql "$1" <<<'CREATE EXTENSION IF NOT EXISTS timescaledb; SELECT timescaledb_pre_restore();' >/dev/null
    postgres_program pg_restore "${@:3}" -d "$1" <"$2"
    sql "$1" <<<'SELECT timescaledb_post_restore();' >/dev/null
}

make_database() {
    drop_database "$1"
    sql postgres <<<"CREATE DATABASE \"$1\" TEMPLATE template0;"
}

drop_database() { sql postgres <<<"SET client_min_messages = warning; DROP DATABASE IF EXISTS \"$1\" WITH (FORCE);"; }

# swap_databases NAME INCOMING FORMER: INCOMING becomes NAME, what was NAME becomes FORMER, or nothing of it happens.
# Whoever is connected is sent away; PostgreSQL waits some seconds for them to go.
swap_databases() {
    sql postgres >/dev/null <<END
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('$1', '$2');
BEGIN;
ALTER DATABASE "$1" RENAME TO "$3";
ALTER DATABASE "$2" RENAME TO "$1";
COMMIT;
END
}

# with_stores SCRIPT ARGUMENTS...: for a script that needs PostgreSQL while `make run` does not run.
with_stores() {
    local_needs_venv
    NAUTILUS_WITH_STORES=1 nautilus_local with-stores -- "$@"
}

stores_are_down() { [[ $MODE == local && -z ${DATABASE_URL:-}${NAUTILUS_WITH_STORES:-} ]] && ! local_runs; }

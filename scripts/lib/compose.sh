# shellcheck shell=bash
# The platform in containers: every call of `docker compose` is in this file. Sourced by nautilus.sh.
# No Docker engine is at hand where the project is tested: tests/test_scripts.py puts a program of the name `docker` on
# the PATH that records how it is called.

COMPOSE_FILE_PATH=${NAUTILUS_COMPOSE_FILE:-$ROOT/docker/compose.yaml}

compose() { ${LIMIT_SECONDS:+timeout "$LIMIT_SECONDS"} docker compose --file "$COMPOSE_FILE_PATH" "$@"; }

compose_is_there() {
    needs docker docker.io
    docker compose version >/dev/null 2>&1 || die "Docker has no compose plugin." "On Debian: apt install docker-compose"
}

compose_runs() {
    command -v docker >/dev/null && [[ -f $COMPOSE_FILE_PATH ]] && [[ -n $(compose ps --quiet 2>/dev/null) ]]
}

# Nothing runs, or web was never made: then `migrate` may not have run either.
compose_is_cold() { ! compose_runs || [[ -z $(compose ps --all --quiet backend) ]]; }

# --wait: until they run, and are healthy where they have a health check.
compose_start() {
    local scales
    mapfile -t scales < <(compose_scales "$@")
    run compose up --detach --no-deps --no-recreate --wait "${scales[@]}" "$@"
}

# `up` without --scale would bring a service back to one container: it keeps those that it has, running or not.
compose_scales() {
    compose_states | awk -F '\t' -v names="$*" '
        BEGIN { split(names, list, " "); for (i in list) asked[list[i]] }
        $1 in asked && $3 !~ /-run-/ { count[$1]++ } # but those of `compose run`
        END { for (name in count) if (count[name] > 1) printf "--scale\n%s=%d\n", name, count[name] }'
}

# The whole in its order: stores, `migrate`, then everything that needs its tables.
compose_start_all() {
    local scales
    mapfile -t scales < <(compose_scales "${COMPOSE_SERVICES[@]}")
    run compose up --detach --no-recreate --wait "${scales[@]}"
}

compose_stop() { run compose stop "$@"; }

compose_restart() {
    run compose restart "$@"
    compose_start "$@"
}

# Lines "name<TAB>state<TAB>container", one a container; "unhealthy" and "starting" are states of their own.
compose_states() {
    compose ps --all --format json | python "$LIB/compose_states.py"
}

# In a container that runs, else in one of its own.
compose_manage() {
    local terminal=()
    [[ -t 0 && -t 1 ]] || terminal=(-T)
    if compose ps --services --status running | grep -x backend >/dev/null; then
        compose exec "${terminal[@]}" backend python manage.py "$@"
    else
        compose run --rm --no-deps "${terminal[@]}" backend python manage.py "$@"
    fi
}

# Inside the container PostgreSQL trusts its own socket; names as in docker/compose.yaml.
compose_postgres_program() {
    compose exec -T -e PGUSER=nautilus -e PGDATABASE=nautilus -e PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-10}" \
        -e PGAPPNAME="${PGAPPNAME:-nautilus_scripts}" postgres "$@"
}

compose_postgres_df() { compose exec -T postgres df -Pk "$1"; }

# shellcheck disable=SC2016  # expanded in the container
compose_redis_ping() {
    compose exec -T redis sh -c 'REDISCLI_AUTH="$(cat /run/secrets/redis_password)" timeout 5 redis-cli ping' | grep -x PONG
}

compose_scale() { run compose up --detach --no-deps --no-recreate --scale "$1=$2" "$1"; }

compose_api_address() { echo "${NAUTILUS_ADDRESS:-http://127.0.0.1:8001}"; }

# Lines "service<TAB>port" of every port that a running container publishes on this machine.
compose_published() {
    compose ps --format json | python "$LIB/compose_states.py" ports
}

#!/usr/bin/env bash
# Says of every port of the platform who should listen there, who does, and whether that is right.
#
#   scripts/check-ports.sh [--quiet]
#
#   --quiet   prints only what is wrong
#
# Dashboard 3000, API and sockets 8001, PostgreSQL 5432, Redis 6379, Prometheus 9090, Grafana 3001, Flower 5555. `make run`
# has the dashboard on the API's port, PostgreSQL on a UNIX socket, Redis on a port of its own choice, and neither
# Prometheus nor Grafana; NAUTILUS_PORT and NAUTILUS_FLOWER_PORT move the others.
#
#   ok      the right one listens          FAIL    a stranger listens, or nobody while the platform runs
#   free    nobody listens, as it should   note    not used in this mode; somebody else listens there
#
# Exit code: 0 all right, 1 a port is wrong, 2 wrong usage. NAUTILUS_MODE=compose|local overrules what is found.
set -euo pipefail
# shellcheck source=scripts/lib/nautilus.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/nautilus.sh"

quiet=0 wrong=()
while (($#)); do
    case $1 in
        -h | --help) show_help "${BASH_SOURCE[0]}" && exit 0 ;;
        --quiet) quiet=1 ;;
        *) usage_error "There is no option $1." ;;
    esac
    shift
done

# line RESULT TITLE PORT TEXT [REMEDY]
line() {
    if [[ $1 == FAIL ]]; then wrong+=("$2 ($3)"); fi
    [[ $1 == FAIL || $quiet == 0 ]] || return 0
    printf '%-5s %-16s %5s  %s\n' "$1" "$2" "$3" "$4"
    if [[ -n ${5:-} ]]; then printf '%-28s  -> %s\n' '' "$5"; fi
}

# Everyone who listens on the port, as "name, pid N"; empty where nobody does.
listener() {
    awk -F '\t' -v port="$1" '$1 == port { split($3, pids, ","); printf "%s%s, pid %s", sep, $2, pids[1]; sep = "; " }' \
        <<<"$listeners"
}

# is_ours PORT PID: that process or a child of it.
is_ours() {
    awk -F '\t' -v port="$1" -v pid="$2" '$1 == port && index("," $3 ",", "," pid ",") { found = 1 } END { exit !found }' \
        <<<"$listeners"
}

# --- `make run` ---------------------------------------------------------------------------------------------

# check_local TITLE PORT SERVICE
check_local() {
    local who pid
    who=$(listener "$2") pid=$(awk -F '\t' -v name="$3" '$1 == name && $3 != "-" { print $3 }' <<<"$states")
    if [[ -n $pid ]] && is_ours "$2" "$pid"; then
        line ok "$1" "$2" "$who: $3"
    elif [[ -n $who ]]; then
        line FAIL "$1" "$2" "taken by $who; $3 should listen there" "stop that program, or move $3 (NAUTILUS_PORT, NAUTILUS_FLOWER_PORT)"
    elif [[ -n $states ]]; then
        line FAIL "$1" "$2" "nobody listens; $3 should" "scripts/restart-service.sh $3"
    else
        line free "$1" "$2" "nothing runs; $3 will listen there"
    fi
}

# check_unused TITLE PORT WHY
check_unused() {
    local who
    who=$(listener "$2")
    if [[ -n $who ]]; then line note "$1" "$2" "$who; $3"; else line free "$1" "$2" "$3"; fi
}

check_local_ports() {
    local redis_port
    local_environment
    redis_port=$(sed -E 's|.*:([0-9]+)(/.*)?$|\1|' <<<"$REDIS_URL")
    check_unused Dashboard 3000 "with \`make run\` it is on the port of the API"
    check_local "API and sockets" "$NAUTILUS_PORT" web
    check_unused PostgreSQL 5432 "with \`make run\` it is on the UNIX socket in $PGHOST"
    if grep -q '^redis' <<<"$states" || [[ -z $states ]]; then
        check_local Redis "$redis_port" redis
    else
        check_unused Redis "$redis_port" "an own Redis, by REDIS_URL"
    fi
    check_unused Prometheus 9090 "\`make run\` starts none"
    check_unused Grafana 3001 "\`make run\` starts none"
    check_local Flower "$NAUTILUS_FLOWER_PORT" flower
}

# --- Compose --------------------------------------------------------------------------------------------------

# check_compose TITLE PORT SERVICE: what a container publishes belongs to it, whoever seems to listen.
check_compose() {
    local who
    who=$(listener "$2")
    if grep -qxF "$3"$'\t'"$2" <<<"$published"; then
        line ok "$1" "$2" "published by $3"
    elif [[ -n $who ]]; then
        line FAIL "$1" "$2" "taken by $who; $3 should publish it" "stop that program, then scripts/restart-service.sh $3"
    elif [[ -n $published ]]; then
        line FAIL "$1" "$2" "nobody listens; $3 should" "scripts/restart-service.sh $3"
    else
        line free "$1" "$2" "nothing runs; $3 will publish it"
    fi
}

check_compose_ports() {
    published=$(compose_published)
    check_compose Dashboard 3000 frontend
    check_compose "API and sockets" 8001 frontend
    check_compose PostgreSQL 5432 postgres
    check_compose Redis 6379 redis
    check_compose Prometheus 9090 prometheus
    check_compose Grafana 3001 grafana
    check_compose Flower 5555 flower
}

find_mode
listeners=$(python "$LIB/listeners.py")
states=""
if [[ $MODE == compose ]]; then
    check_compose_ports
else
    if local_runs; then states=$(service_states); fi
    check_local_ports
fi
if ((${#wrong[@]})); then
    say "FAILED: ${wrong[*]}"
    exit 1
fi

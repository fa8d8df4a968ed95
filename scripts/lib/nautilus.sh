# shellcheck shell=bash
# What all scripts share: where the project is, how the platform runs (compose or local), how a script speaks and ends.
# Sourced, never run. Exit codes everywhere: 0 done, 1 something failed or was refused, 2 wrong usage. No `grep -q` ends a
# pipe here: under `pipefail` who still writes into it would be ended, and what was found would count as a failure.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LIB=$ROOT/scripts/lib
STATE_FOLDER=${NAUTILUS_HOME:-$ROOT/.nautilus}
DRY_RUN=0
LOCAL_SERVICES=(postgres redis web risk-worker analytics-worker strategy-deployer maintenance-worker alert-sender
    scheduler market-feed analytics-engine flower)
COMPOSE_SERVICES=(postgres redis backend websocket-handler risk-worker analytics-worker strategy-deployer
    maintenance-worker alert-sender scheduler market-feed analytics-engine flower frontend prometheus grafana)

# shellcheck source=scripts/lib/local.sh
source "$LIB/local.sh"
# shellcheck source=scripts/lib/compose.sh
source "$LIB/compose.sh"

# --- How a script speaks -------------------------------------------------------------------------------

# A colour's escape where a person looks, nothing in a pipe or where NO_COLOR asks for none.
colour() { if [[ -t 1 && -z ${NO_COLOR:-} ]]; then printf '\e[%sm' "$1"; fi; }

say() { printf '%s\n' "$*"; }

step() { printf '%s== %s%s\n' "$(colour 1)" "$*" "$(colour 0)"; }

warn() { printf 'warning: %s\n' "$*" >&2; }

# die DETAIL [REMEDY]: what was wrong, then what would be right.
die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    if [[ -n ${2:-} ]]; then printf '%s\n' "$2" >&2; fi
    exit 1
}

usage_error() {
    printf '%s: %s\nHow it is called: %s --help\n' "${0##*/}" "$1" "$0" >&2
    exit 2
}

# show_help FILE: the comment at the head of a script is its help.
show_help() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$1"; }

# run COMMAND...: runs it, or in a dry run says it.
run() {
    if ((DRY_RUN)); then
        printf '  would run: %s\n' "${*@Q}"
    else
        "$@"
    fi
}

needs() { command -v "$1" >/dev/null || die "The program $1 is not installed." "On Debian and Ubuntu: apt install $2"; }

# number_or_usage OPTION VALUE
number_or_usage() { [[ $2 =~ ^[0-9]+$ ]] || usage_error "$1 is ${2@Q}; expected a whole number."; }

# --- How the platform runs -----------------------------------------------------------------------------

# The interpreter with the project's packages where there is one; the helpers in scripts/lib need none of them.
python() {
    local program=$ROOT/.venv/bin/python
    [[ -x $program ]] || program=python3
    "$program" "$@"
}

# Sets MODE to compose or local. NAUTILUS_MODE overrules; else what runs decides, `make run` first.
find_mode() {
    [[ -z ${MODE:-} ]] || return 0
    case ${NAUTILUS_MODE:-} in
        compose | local) MODE=$NAUTILUS_MODE ;;
        "") MODE=$(guess_mode) ;;
        *) die "NAUTILUS_MODE is ${NAUTILUS_MODE@Q}." "Expected compose or local." ;;
    esac
    if [[ $MODE == compose ]]; then compose_is_there; fi
}

guess_mode() {
    if ! local_runs && { compose_runs || [[ ! -x $ROOT/.venv/bin/python ]]; }; then echo compose; else echo local; fi
}

# The service's names where it runs: `web` is two services in compose, and both are `web` on one machine.
resolve_service() {
    find_mode
    case $MODE:$1 in
        local:backend | local:websocket-handler) echo web ;;
        compose:web) printf '%s\n' backend websocket-handler ;;
        *) echo "$1" ;;
    esac
}

service_names() {
    find_mode
    if [[ $MODE == compose ]]; then printf '%s\n' "${COMPOSE_SERVICES[@]}"; else printf '%s\n' "${LOCAL_SERVICES[@]}"; fi
}

# Resolves a service's name into the array SERVICES; an unknown name is wrong usage.
take_service() {
    find_mode
    mapfile -t SERVICES < <(resolve_service "$1")
    local name
    for name in "${SERVICES[@]}"; do
        service_names | grep -xF -- "$name" >/dev/null ||
            usage_error "There is no service ${1@Q}; expected one of $(service_names | paste -sd ' ')."
    done
}

# Each of these works in both modes: start_services NAME..., stop_services NAME..., restart_services NAME...,
# service_states (lines "name<TAB>state<TAB>pid or -"), manage ARGUMENTS..., postgres_program NAME ARGUMENTS...
start_services() { find_mode && "${MODE}_start" "$@"; }
stop_services() { find_mode && "${MODE}_stop" "$@"; }
restart_services() { find_mode && "${MODE}_restart" "$@"; }
service_states() { find_mode && "${MODE}_states"; }
manage() { find_mode && "${MODE}_manage" "$@"; }
postgres_program() { find_mode && "${MODE}_postgres_program" "$@"; }
redis_ping() { find_mode && "${MODE}_redis_ping"; }
api_address() { find_mode && "${MODE}_api_address"; }

# --- Services that an operator keeps stopped -------------------------------------------------------------

isolated_file() { echo "$STATE_FOLDER/isolated"; }

isolated_services() { if [[ -f $(isolated_file) ]]; then sort -u "$(isolated_file)"; fi; }

is_remembered() { isolated_services | grep -xF -- "$1" >/dev/null; }

# An operator stopped it and it is still stopped: a new `make run` or `up` starts everything and ends an isolation.
is_isolated() { is_remembered "$1" && ! service_states | grep -P "^\Q$1\E\trunning\t" >/dev/null; }

remember_isolated() {
    mkdir -p "$STATE_FOLDER"
    is_remembered "$1" || echo "$1" >>"$(isolated_file)"
}

forget_isolated() {
    [[ -f $(isolated_file) ]] || return 0
    local others
    others=$(isolated_services | grep -vxF -- "$1" || true)
    if [[ -n $others ]]; then printf '%s\n' "$others" >"$(isolated_file)"; else rm -f "$(isolated_file)"; fi
}

# --- The API ---------------------------------------------------------------------------------------------

# api METHOD PATH [JSON]: the body of the answer; fails where there is none. NAUTILUS_TOKEN is the bearer's token.
# Where WRITE_OUT is set, what curl writes by it comes after the body.
api() {
    local arguments=(--silent --show-error --noproxy '*' --max-time 10 --request "$1" --header 'Accept: application/json')
    [[ -z ${3:-} ]] || arguments+=(--header 'Content-Type: application/json' --data "$3")
    [[ -z ${WRITE_OUT:-} ]] || arguments+=(--write-out "$WRITE_OUT")
    curl "${arguments[@]}" --config <(certificates) --config <(authorization) "$(api_address)$2"
}

# On the way to a loopback address nobody stands between: there a certificate may be self-signed, as for the sockets.
certificates() {
    if [[ $(api_address) =~ ^https://(localhost|127(\.[0-9]+){3}|\[::1\])([:/]|$) ]]; then echo insecure; fi
}

# In a file of curl's, not among its arguments, where `ps` would show the token.
authorization() { if [[ -n ${NAUTILUS_TOKEN:-} ]]; then printf 'header = "Authorization: Bearer %s"\n' "$NAUTILUS_TOKEN"; fi; }

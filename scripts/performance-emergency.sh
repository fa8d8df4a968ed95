#!/usr/bin/env bash
# Takes load off the platform until the desk's own work goes through again; --restore puts everything back.
#
#   scripts/performance-emergency.sh [--watch SECONDS] [--idle-seconds N] [--scale SERVICE=N]... [--dry-run]
#   scripts/performance-emergency.sh --restore [--dry-run]
#
#   --watch SECONDS      afterwards shows load, connections and queues every 5 s, for so long
#   --idle-seconds N     ends sessions that hold a transaction open and did nothing for N seconds (30)
#   --scale SERVICE=N    compose alone: runs N containers of a service, more or fewer
#   --restore            starts what this script stopped, and the cache is as it was
#
# What it does: ends transactions that are open and idle, but a backup's; shows what the machine is busy with; stops
# market-feed, analytics-engine and flower (live figures stand still and say so; risk figures, limits and pre-trade checks
# go on, on the latest closes); lets answers live longer in the cache, for an hour. No task, no message and no figure is
# lost. Where the API cannot be asked to change its cache, everything else is done all the same, and the exit code is 1.
#
# Where the caller is no local operator, NAUTILUS_TOKEN is an operator's bearer token. With compose NAUTILUS_ADDRESS is the
# API's address (http://127.0.0.1:8001).
# Exit code: 0 done, 1 something could not be done, 2 wrong usage. NAUTILUS_MODE=compose|local overrules what is found.
set -euo pipefail
# shellcheck source=scripts/lib/nautilus.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/nautilus.sh"
# shellcheck source=scripts/lib/database.sh
source "$LIB/database.sh"
# shellcheck source=scripts/lib/load.sh
source "$LIB/load.sh"

CAN_WAIT=(market-feed analytics-engine flower)
WATCH_PAUSE_SECONDS=5

cache_failed=0 watch_seconds=0 idle_seconds=30 restore=0 scales=()
while (($#)); do
    case $1 in
        -h | --help) show_help "${BASH_SOURCE[0]}" && exit 0 ;;
        --dry-run) DRY_RUN=1 ;;
        --restore) restore=1 ;;
        --watch | --idle-seconds)
            number_or_usage "$1" "${2:-}"
            if [[ $1 == --watch ]]; then watch_seconds=$2; else idle_seconds=$2; fi
            shift
            ;;
        --scale)
            [[ ${2:-} =~ ^[a-z-]+=[0-9]+$ ]] || usage_error "--scale is ${2@Q}; expected SERVICE=N, such as risk-worker=4."
            scales+=("$2")
            shift
            ;;
        *) usage_error "There is no option $1." ;;
    esac
    shift
done

stopped_file() { echo "$STATE_FOLDER/performance-emergency"; }

running_of() { service_states | awk -F '\t' '$2 == "running" { print $1 }' | sort -u | grep -xF "$(printf '%s\n' "$@")" || true; }

# Noted before they are stopped: --restore starts what this script stopped, and nothing else.
scale_down() {
    local running
    mapfile -t running < <(running_of "${CAN_WAIT[@]}")
    ((${#running[@]})) || { say "  none of ${CAN_WAIT[*]} runs" && return 0; }
    run note_stopped "${running[@]}"
    stop_services "${running[@]}"
}

note_stopped() {
    mkdir -p "$STATE_FOLDER" # with compose nobody else makes it
    printf '%s\n' "$@" >>"$(stopped_file)"
}

scale_containers() {
    local scale
    for scale in "${scales[@]}"; do
        [[ $MODE == compose ]] || die "--scale $scale: \`make run\` has one process a service." "Change its -c in the Procfile."
        compose_scale "${scale%%=*}" "${scale#*=}"
    done
}

# cache_mode enable|disable: an API that is too busy to answer is what this script is for, and no reason to end it.
cache_mode() {
    local body
    if ((DRY_RUN)); then
        say "  would ask the API: POST /api/v1/cache/$1-aggressive-mode"
        return 0
    fi
    body=$(api POST "/api/v1/cache/$1-aggressive-mode" '{}') || true
    if [[ $body == *'"mode"'* ]]; then say "  $body"; else warn_of_cache "$body"; fi
}

warn_of_cache() {
    cache_failed=1
    if [[ -n $1 ]]; then
        warn "The cache was not changed: $(head -c 300 <<<"$1")"$'\n'"Is NAUTILUS_TOKEN an operator's?"
    else
        warn "The cache was not changed: the API does not answer."$'\n'"scripts/restart-service.sh web"
    fi
}

watch_load() {
    local end=$((SECONDS + watch_seconds))
    while ((SECONDS < end)); do
        step "$(date +%H:%M:%S)"
        show_machine
        show_connections
        show_queues
        sleep "$WATCH_PAUSE_SECONDS"
    done
}

relieve() {
    step "Transactions that are open and idle for $idle_seconds s are ended"
    if ((DRY_RUN)); then show_idle_transactions "$idle_seconds"; else end_idle_transactions "$idle_seconds"; fi
    step "What the platform is busy with"
    show_machine
    show_connections
    show_queues
    step "What can wait is stopped: ${CAN_WAIT[*]}"
    scale_down
    scale_containers
    step "Answers live longer in the cache"
    cache_mode enable
    watch_load
    say "Put everything back: scripts/performance-emergency.sh --restore"
}

put_back() {
    local stopped=() name
    if [[ -f $(stopped_file) ]]; then mapfile -t stopped < <(sort -u "$(stopped_file)"); fi
    step "What was stopped is started: ${stopped[*]:-nothing}"
    for name in "${stopped[@]}"; do
        if is_isolated "$name"; then say "  $name is isolated and stays stopped"; else start_services "$name"; fi
    done
    step "The cache is as it was"
    cache_mode disable
    run rm -f "$(stopped_file)"
}

needs curl curl
find_mode
[[ $MODE == compose ]] || local_environment
if ((restore)); then put_back; else relieve; fi
if ((cache_failed)); then exit 1; fi

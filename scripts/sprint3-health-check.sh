#!/usr/bin/env bash
# Checks the whole platform from outside and from within, and says what is wrong and which command mends it.
#
#   scripts/sprint3-health-check.sh [--json] [--quiet] [--wait SECONDS]
#
#   --json           for programs: {"healthy", "mode", "failed", "checks": [{"check", "result", "detail", "remedy"}]}
#   --quiet          prints only what is not ok
#   --wait SECONDS   looks again until nothing fails, for so long at the most
#
# A line a check: ok, warn or FAIL, the component's name, what was seen, what to do; several may be of one component. Processes or containers; the API and
# its own components (contract section 10); a WebSocket that is opened and must answer; PostgreSQL and Redis themselves;
# Prometheus and Grafana (with compose, or where NAUTILUS_PROMETHEUS_URL and NAUTILUS_GRAFANA_URL name them); disk, memory
# and file descriptors. The checks run beside each other, each with a time limit.
#
# A service that is isolated (isolate-service.sh) is a warning, and so is what fails for want of it.
#
# Where the caller is no local operator, NAUTILUS_TOKEN is an operator's bearer token. With compose NAUTILUS_ADDRESS is the
# API's address (http://127.0.0.1:8001).
# Exit code: 0 nothing failed (a warning is no failure), 1 something failed, 2 wrong usage.
# NAUTILUS_MODE=compose|local overrules what is found.
set -euo pipefail
# shellcheck source=scripts/lib/nautilus.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/nautilus.sh"
# shellcheck source=scripts/lib/database.sh
source "$LIB/database.sh"
# shellcheck source=scripts/lib/checks.sh
source "$LIB/checks.sh"

CHECKS=(processes api components sockets postgres redis monitoring resources)
PAUSE_SECONDS=1

as_json=0 quiet=0 wait_seconds=0
while (($#)); do
    case $1 in
        -h | --help) show_help "${BASH_SOURCE[0]}" && exit 0 ;;
        --json) as_json=1 ;;
        --quiet) quiet=1 ;;
        --wait)
            number_or_usage --wait "${2:-}"
            wait_seconds=$2
            shift
            ;;
        *) usage_error "There is no option $1." ;;
    esac
    shift
done

# All at once, each into a file of its own; a check that breaks is a failure and no silence.
look() {
    local name
    STATES=$(service_states)
    for name in "${CHECKS[@]}"; do
        { "check_$name" 2>"$work/$name.errors" || broken "$name"; } >"$work/$name" &
    done
    wait
    (cd "$work" && cat "${CHECKS[@]}") >"$work/lines"
}

broken() { report "$1" FAIL "this check broke: $(tail -n 1 "$work/$1.errors")" "scripts/manage.sh doctor"; }

fails() { grep -q $'^[^\t]*\tFAIL\t' "$work/lines"; }

show() {
    local name result detail remedy
    local -A colours=([ok]=32 [warn]=33 [FAIL]=31)
    while IFS=$'\t' read -r name result detail remedy; do
        [[ $result != ok || $quiet == 0 ]] || continue
        printf '%s%-4s%s  %-20s %s\n' "$(colour "${colours[$result]}")" "$result" "$(colour 0)" "$name" "$detail"
        if [[ $result != ok && -n $remedy ]]; then printf '      %-20s -> %s\n' '' "$remedy"; fi
    done <"$work/lines"
}

failed_names() { awk -F '\t' '$2 == "FAIL" && !seen[$1]++ { print $1 }' "$work/lines" | paste -sd ' '; }

needs curl curl
find_mode
if [[ $MODE == local ]] && ! local_runs; then
    if ((as_json)); then
        report platform FAIL "nothing runs in $STATE_FOLDER" "make run" | python "$LIB/health_report.py" "$MODE"
        exit 1
    fi
    die "FAILED: platform: nothing runs in $STATE_FOLDER." "Start it: make run"
fi
[[ $MODE == compose ]] || local_environment
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

look
while fails && ((SECONDS < wait_seconds)); do
    sleep "$PAUSE_SECONDS"
    look
done
if ((as_json)); then python "$LIB/health_report.py" "$MODE" <"$work/lines"; else show; fi
if fails; then
    ((as_json)) || say "FAILED: $(failed_names)"
    exit 1
fi
((as_json)) || say "Nothing failed in $(wc -l <"$work/lines") checks."

#!/usr/bin/env bash
# Restarts one service and waits until it serves.
#
#   scripts/restart-service.sh SERVICE [--dry-run]
#
# SERVICE is a name of the Procfile (`make run`) or of docker/compose.yaml: postgres redis web|backend|websocket-handler
# risk-worker analytics-worker strategy-deployer maintenance-worker alert-sender scheduler market-feed analytics-engine
# flower; with compose also frontend prometheus grafana. One that is stopped is started.
#
# Tasks are not lost: what a worker was doing is done again by another (docs/decisions/0002).
# Exit code: 0 it serves, 1 it does not, 2 wrong usage. NAUTILUS_MODE=compose|local overrules what is found.
set -euo pipefail
# shellcheck source=scripts/lib/nautilus.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/nautilus.sh"

service=""
while (($#)); do
    case $1 in
        -h | --help) show_help "${BASH_SOURCE[0]}" && exit 0 ;;
        --dry-run) DRY_RUN=1 ;;
        -*) usage_error "There is no option $1." ;;
        *)
            [[ -z $service ]] || usage_error "One service at a time; $service and $1 were given."
            service=$1
            ;;
    esac
    shift
done
[[ -n $service ]] || usage_error "No service was given."
take_service "$service"

for name in "${SERVICES[@]}"; do
    if is_isolated "$name"; then
        die "$name is isolated: an operator keeps it stopped." "Release it: scripts/isolate-service.sh $name --release"
    fi
done
restart_services "${SERVICES[@]}"

#!/usr/bin/env bash
# Stops one service and keeps it stopped until it is released.
#
#   scripts/isolate-service.sh SERVICE [--dry-run]
#   scripts/isolate-service.sh SERVICE --release [--dry-run]
#   scripts/isolate-service.sh --list
#
# SERVICE as for scripts/restart-service.sh. While it is isolated, restart-service.sh, emergency-recovery.sh and
# performance-emergency.sh leave it stopped, and sprint3-health-check.sh says so. Its work waits: tasks stay in their
# queue and are done after the release. A new `make run` or `docker compose up` starts everything, isolated or not.
#
# Exit code: 0 done, 1 it could not be stopped or started, 2 wrong usage. NAUTILUS_MODE=compose|local overrules.
set -euo pipefail
# shellcheck source=scripts/lib/nautilus.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/nautilus.sh"

service="" release=0
while (($#)); do
    case $1 in
        -h | --help) show_help "${BASH_SOURCE[0]}" && exit 0 ;;
        --dry-run) DRY_RUN=1 ;;
        --release) release=1 ;;
        --list) isolated_services && exit 0 ;;
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

# Remembered first: whoever restarts services in the meantime must leave it stopped.
isolate() {
    for name in "${SERVICES[@]}"; do run remember_isolated "$name"; done
    stop_services "${SERVICES[@]}"
    say "$service is isolated. Release it: scripts/isolate-service.sh $service --release"
}

release() {
    start_services "${SERVICES[@]}"
    for name in "${SERVICES[@]}"; do run forget_isolated "$name"; done
    say "$service is released."
}

if ((release)); then release; else isolate; fi

#!/usr/bin/env bash
# Brings the platform back, step by step, from whatever state it is in.
#
#   scripts/emergency-recovery.sh [--dry-run] [--no-backup] [--backup-to FOLDER]
#
#   --no-backup          goes on without one: where PostgreSQL cannot give any, or there is no room for it
#   --backup-to FOLDER   where backup.sh writes it (default: as backup.sh)
#
#   1 stop      everything but PostgreSQL and Redis
#   2 disk      refuses to go on where a database could not write
#   3 stores    PostgreSQL and Redis, restarted where they do not answer
#   4 backup    pg_dump, loaded into a database of its own and compared
#   5 minimal   the web processes, until the API says that database, redis and websocket are well
#   6 rest      workers, scheduler, feed, engine; what is isolated (isolate-service.sh) stays stopped
#   7 health    sprint3-health-check.sh, until nothing fails
#
# It waits for each step to be done, never for a time, and stops at the one that fails, with what to do. Nothing is
# deleted, no task is lost. Where nothing runs at all, `make run` or `docker compose up` is started in the background: that
# starts everything in its order, migrations first, isolated or not.
#
# With compose NAUTILUS_TOKEN must be an operator's bearer token, or nothing is begun: step 5 asks the API what it tells to
# an operator alone. NAUTILUS_ADDRESS is the API's address there (http://127.0.0.1:8001).
#
# Exit code: 0 the platform is well, 1 a step failed, 2 wrong usage. NAUTILUS_MODE=compose|local overrules what is found.
set -euo pipefail
# shellcheck source=scripts/lib/nautilus.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/nautilus.sh"
# shellcheck source=scripts/lib/database.sh
source "$LIB/database.sh"

NEEDED_MB=512         # PostgreSQL's write-ahead log alone takes up to 1 GB between two checkpoints, seldom half of it
WAIT_SECONDS=180      # for the slowest machine; some seconds are usual
MINIMAL=(database redis websocket)
NEEDS_TOKEN="export NAUTILUS_TOKEN=<an operator's token>"

with_backup=1 backup_options=(--verify)
while (($#)); do
    case $1 in
        -h | --help) show_help "${BASH_SOURCE[0]}" && exit 0 ;;
        --dry-run) DRY_RUN=1 ;;
        --no-backup) with_backup=0 ;;
        --backup-to)
            [[ -n ${2:-} ]] || usage_error "--backup-to needs a folder."
            backup_options+=(--to "$(realpath -m "$2")")
            shift
            ;;
        *) usage_error "There is no option $1." ;;
    esac
    shift
done

# begin NUMBER NAME WHAT REMEDY: says the step; the remedy is for the case that it fails.
begin() {
    current="$1 $2" remedy=$4
    step "$1 $2: $3"
}

failed() {
    local code=$?
    ((code)) || return 0
    printf 'FAILED at step %s.\n' "${current:-0 start}" >&2
    if [[ -n ${remedy:-} ]]; then printf '%s\n' "$remedy" >&2; fi
    exit 1
}

# All services but the stores and those that are isolated; what each mode has of them.
others() {
    local name
    while read -r name; do
        [[ $name != postgres && $name != redis ]] && ! is_remembered "$name" && echo "$name"
    done < <(running_mode_names)
    return 0
}

# With `make run` those that supervisord knows: an own PostgreSQL or Redis is none of them.
running_mode_names() { if [[ $MODE == compose ]]; then service_names; else awk -F '\t' '{ print $1 }' <<<"$states"; fi; }

web_services() {
    if [[ $MODE == compose ]]; then printf '%s\n' backend websocket-handler frontend; else echo web; fi
}

refuse_full_disk() {
    local folder=$STATE_FOLDER free
    [[ -d $folder ]] || folder=$ROOT
    free=$(df --output=avail -k "$folder" | tail -1)
    say "  $((free >> 10)) MB free on the disk of $folder"
    ((free >> 10 >= NEEDED_MB)) || die "Less than $NEEDED_MB MB are free on the disk of $folder."
}

restart_silent_stores() {
    if database_answers; then say "  postgres answers"; else run restart_services postgres; fi
    if redis_ping >/dev/null 2>&1; then say "  redis answers"; else run restart_services redis; fi
}

make_backup() {
    if ((with_backup)); then run "$ROOT/scripts/backup.sh" "${backup_options[@]}"; else say "  left out: --no-backup"; fi
}

# Waits until the API says that each of these components is well.
wait_for_components() {
    local deadline=$((SECONDS + WAIT_SECONDS)) missing
    ((!DRY_RUN)) || return 0
    while true; do
        missing=$(not_well "$@") || { remedy="" && exit 1; } # it has said why, and waiting mends it not
        [[ -n $missing ]] || return 0
        ((SECONDS < deadline)) || die "Not well after $WAIT_SECONDS s: $missing"
        sleep 1
    done
}

# Those of the components that the API does not call well; fails where its answer will not become another by waiting.
not_well() {
    local answer code lines name
    answer=$(WRITE_OUT='\n%{http_code}' api GET /api/v1/sprint3/system/health 2>/dev/null) || answer=$'\n000'
    code=${answer##*$'\n'} answer=${answer%$'\n'*}
    lines=$(python "$LIB/health_lines.py" <<<"$answer") || refuse_no_health "$code" "$answer"
    for name in "$@"; do
        grep -qP "^\\Q$name\\E\\t(ok|warn)\\t" <<<"$lines" || printf '%s ' "$name"
    done
}

# Without an answer, or with nginx's for a web process that has not come up, there is something to wait for.
refuse_no_health() {
    case $1 in
        000 | 502 | 503 | 504) return 0 ;;
        401 | 403) die "The API answers $1: it tells its components to an operator alone." "$NEEDS_TOKEN" ;;
        *) die "$(api_address) answers $1, and no JSON: $(head -c 200 <<<"${2//$'\n'/ }")" \
            "Is it the API? Else export NAUTILUS_ADDRESS=<its address>; its errors: scripts/manage.sh doctor" ;;
    esac
}

check_health() { run "$ROOT/scripts/sprint3-health-check.sh" --quiet --wait "$WAIT_SECONDS"; }

recover() {
    mapfile -t rest < <(others)
    mapfile -t web < <(web_services)
    begin 1 stop "${rest[*]}" "See what holds it: scripts/sprint3-health-check.sh; ps aux"
    stop_services "${rest[@]}"
    begin 2 disk "is there room to write" "Make room: scripts/manage.sh doctor --only disk; see docs/runbook.md#disk-full"
    refuse_full_disk
    begin 3 stores "PostgreSQL and Redis answer" "See the end of $STATE_FOLDER/logs/postgres.log and redis.log"
    restart_silent_stores
    begin 4 backup "and its verification" "On another disk: --backup-to FOLDER; without one: --no-backup"
    make_backup
    begin 5 minimal "${web[*]}, until ${MINIMAL[*]} are well" "See the end of $STATE_FOLDER/logs/web.log; scripts/manage.sh doctor"
    start_services "${web[@]}"
    wait_for_components "${MINIMAL[@]}"
    begin 6 rest "everything else" "See the log that is shown above; scripts/manage.sh doctor"
    start_services "${rest[@]}"
    begin 7 health "until nothing fails" "Do what is said beside each; then scripts/sprint3-health-check.sh"
    check_health
}

# Nothing runs: there is nothing to stop, and one start brings all.
recover_from_nothing() {
    begin 1 stop "nothing runs in $STATE_FOLDER" ""
    begin 2 disk "is there room to write" "Make room; see docs/runbook.md#disk-full"
    refuse_full_disk
    begin 4 backup "with PostgreSQL started for it alone" "On another disk: --backup-to FOLDER; without one: --no-backup"
    if [[ -d $STATE_FOLDER/postgres ]]; then make_backup; else say "  no data yet"; fi
    begin 5 start "make run, in the background; its output: $STATE_FOLDER/logs/launcher.log" "See the end of that file."
    run local_launch
    ((DRY_RUN)) || wait_for_launch
    begin 7 health "until nothing fails" "Do what is said beside each; then scripts/sprint3-health-check.sh"
    check_health
}

# The same for containers. The stores come up before the rest for the backup's sake: `migrate` changes the tables.
recover_containers_from_nothing() {
    begin 1 stop "no container runs" ""
    begin 2 disk "is there room to write" "Make room; see docs/runbook.md#disk-full"
    refuse_full_disk
    begin 3 stores "PostgreSQL and Redis start" "docker compose --file $COMPOSE_FILE_PATH logs --tail 50 postgres redis"
    start_services postgres redis
    begin 4 backup "and its verification" "On another disk: --backup-to FOLDER; without one: --no-backup"
    if ((DRY_RUN)) || has_data "$(database_name)"; then make_backup; else say "  no data yet"; fi
    begin 5 start "docker compose up, in its order: migrate, then what needs its tables" \
        "docker compose --file $COMPOSE_FILE_PATH logs --tail 50 migrate"
    compose_start_all
    wait_for_components "${MINIMAL[@]}"
    begin 7 health "until nothing fails" "Do what is said beside each; then scripts/sprint3-health-check.sh"
    check_health
}

wait_for_launch() {
    local deadline=$((SECONDS + WAIT_SECONDS))
    until local_runs; do
        ((SECONDS < deadline)) || die "make run has not started after $WAIT_SECONDS s."
        sleep 1
    done
    wait_for_components "${MINIMAL[@]}"
}

needs curl curl
find_mode
if [[ $MODE == compose && -z ${NAUTILUS_TOKEN:-} ]]; then
    die "NAUTILUS_TOKEN is not set: with compose the API tells its components to an operator alone." "$NEEDS_TOKEN"
fi
trap failed EXIT
states=""
if [[ $MODE == local ]] && ! local_runs; then
    recover_from_nothing
elif [[ $MODE == compose ]] && compose_is_cold; then
    recover_containers_from_nothing
else
    [[ $MODE == compose ]] || states=$(service_states)
    recover
fi
if ((DRY_RUN)); then say "Nothing was changed."; else say "The platform is well."; fi

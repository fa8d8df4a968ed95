#!/usr/bin/env bash
# Brings back the platform's data from a backup of scripts/backup.sh.
#
#   scripts/restore.sh BACKUP [--force] [--keep-old] [--no-start] [--dry-run]
#
#   BACKUP        its folder, as backup.sh printed it and `backup.sh --list` lists it
#   --force       also where the database has data: they are replaced
#   --keep-old    leaves the replaced database beside it, as nautilus_before_DATE
#   --no-start    leaves web and workers stopped
#
# What happens, in this order, and nothing of it before all checks have passed: checksums, format, versions of PostgreSQL
# and of the code; the services stop, all but PostgreSQL and Redis; the dump is loaded into a database of its own, in one
# transaction, and every table's rows are compared with the manifest; then the two databases change their names. Until
# then the old data are untouched: where a step fails, the services start again on them. At last Redis is emptied and the
# price matrices are deleted: they are of the other life, and are made anew. Migrations that are newer than the backup run.
# Where one of these last steps fails, it says which commands do what is left.
#
# With `make run` it also works while nothing runs, on an empty home: PostgreSQL is then started for this alone, and the
# backup's secrets.json is taken where the home has none.
#
# Exit code: 0 restored and equal, 1 not, 2 wrong usage. NAUTILUS_MODE=compose|local overrules what is found.
set -euo pipefail
# shellcheck source=scripts/lib/nautilus.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/nautilus.sh"
# shellcheck source=scripts/lib/database.sh
source "$LIB/database.sh"

backup="" force=0 keep_old=0 start=1
# Of the whole script: a trap sees no function's own variables once `set -e` has ended the script inside of it.
incoming="" former="" serving=() left=()
while (($#)); do
    case $1 in
        -h | --help) show_help "${BASH_SOURCE[0]}" && exit 0 ;;
        --dry-run) DRY_RUN=1 ;;
        --force) force=1 ;;
        --keep-old) keep_old=1 ;;
        --no-start) start=0 ;;
        -*) usage_error "There is no option $1." ;;
        *)
            [[ -z $backup ]] || usage_error "One backup at a time; $backup and $1 were given."
            backup=$1
            ;;
    esac
    shift
done
[[ -n $backup ]] || usage_error "No backup was given; scripts/backup.sh --list names those there are."

# --- Checks -------------------------------------------------------------------------------------------

check_files() {
    local sums
    [[ -f $backup/SHA256SUMS ]] || die "$backup is no backup: it has no SHA256SUMS." "See: scripts/backup.sh --list"
    sums=$(cd "$backup" && sha256sum --check --strict --quiet SHA256SUMS 2>&1) ||
        die "$backup is damaged:"$'\n'"$sums" "Take another backup."
    python "$LIB/manifest.py" summary "$backup"
}

manifest_value() { python "$LIB/manifest.py" value "$backup" "$1"; }

check_versions() {
    local theirs ours unknown
    theirs=$(manifest_value server_major) ours=$(server_major)
    ((ours >= theirs)) || die "The backup is of PostgreSQL $theirs, this server is $ours." "Restore it to $theirs or later."
    unknown=$(known_migrations | python "$LIB/manifest.py" unknown-migrations "$backup")
    [[ -z $unknown ]] || die "The backup was made by newer code ($(manifest_value code)); unknown here: ${unknown//$'\n'/, }." \
        "Check that version out, then restore."
}

known_migrations() {
    manage shell --no-imports -c 'from django.db.migrations.loader import MigrationLoader
for app, name in MigrationLoader(None).disk_migrations: print(f"{app}.{name}")'
}

check_target() {
    ((force)) || ! has_data "$database" || die "The database $database has data." \
        "To replace them: scripts/restore.sh $backup --force   (a backup of them first: scripts/backup.sh)"
}

# --- The restore --------------------------------------------------------------------------------------

serving_services() {
    service_states | awk -F '\t' '$1 != "postgres" && $1 != "redis" && $2 != "stopped" && $2 != "exited" { print $1 }' | sort -u
}

# Where a step fails before the swap, nothing has changed: the services go on with what was there.
back_as_it_was() {
    local code=$?
    ((code)) || return 0
    warn "The restore failed; the database $database is as it was."
    drop_database "$incoming" || true
    start_again
    exit "$code"
}

load_and_compare() {
    local difference
    make_database "$incoming"
    load_dump "$incoming" "$backup/database.dump"
    difference=$(fingerprints "$incoming" | python "$LIB/manifest.py" compare "$backup") ||
        die "What was loaded is not what was dumped:"$'\n'"$difference" "Take another backup."
    say "  $difference"
}

# Queues, topics, caches and price matrices speak of data that are gone; a version's number may come again with others.
FORGET_OTHER_LIFE='import shutil
from django.conf import settings
from nautilus.connections import redis_client
redis_client().flushdb()
if settings.MATRIX_DIR.exists():
    for folder in settings.MATRIX_DIR.iterdir():
        shutil.rmtree(folder) if folder.is_dir() else folder.unlink()'

# The steps after the swap, as an operator would do them by hand; the first goes when it is done.
plan_the_rest() {
    left=("scripts/manage.sh shell --no-imports -c ${FORGET_OTHER_LIFE@Q}" "scripts/manage.sh migrate --noinput")
    if ((start)) && ((${#serving[@]})); then left+=("${serving[@]/#/scripts/restart-service.sh }"); fi
}

drop_former() {
    drop_database "$former"
    former=""
}

step_is_done() { left=("${left[@]:1}"); }

# After the swap nothing goes back: an operator must know what was not done.
say_what_is_left() {
    local code=$?
    ((code)) || return 0
    warn "The data are restored; a later step failed. Restored; then, in this order:"
    printf '  %s\n' "${left[@]}" >&2
    [[ -z $former ]] || printf 'The replaced data are in the database %s.\n' "$former" >&2
}

start_again() {
    if ((start)) && ((${#serving[@]})); then start_services "${serving[@]}"; fi
}

restore() {
    former=nautilus_before_$(date -u +%Y%m%dt%H%M%Sz) incoming=nautilus_restore_$$
    mapfile -t serving < <(serving_services)
    trap back_as_it_was EXIT
    step "Services stop: ${serving[*]:-none runs}"
    ((${#serving[@]} == 0)) || stop_services "${serving[@]}"
    step "The dump is loaded into $incoming and compared"
    load_and_compare
    step "$incoming becomes $database"
    swap_databases "$database" "$incoming" "$former"
    plan_the_rest
    trap say_what_is_left EXIT
    step "Redis and price matrices of the other life are deleted"
    manage shell --no-imports -c "$FORGET_OTHER_LIFE"
    step_is_done
    step "Migrations"
    manage migrate --noinput --verbosity 0
    step_is_done
    if ((keep_old)); then say "The replaced data are in the database $former."; else drop_former; fi
    step "Services start: ${serving[*]:-none ran}"
    start_again
    trap - EXIT
}

# --- Where `make run` does not run ----------------------------------------------------------------------

# With PostgreSQL and Redis up for the time of this script, and with the backup's secrets where there are none yet.
restore_with_stores() {
    local options=()
    ((!force)) || options+=(--force)
    ((!keep_old)) || options+=(--keep-old)
    ((!DRY_RUN)) || options+=(--dry-run)
    check_files
    if [[ ! -f $STATE_FOLDER/secrets.json && -f $backup/secrets.json ]] && ((!DRY_RUN)); then
        mkdir -p "$STATE_FOLDER"
        install -m 600 "$backup/secrets.json" "$STATE_FOLDER/secrets.json"
        say "secrets.json of the backup is taken: this home had none"
    fi
    with_stores "$ROOT/scripts/restore.sh" "$backup" "${options[@]}"
    say "Nothing ran before; start it: make run"
}

[[ -d $backup ]] || die "There is no backup ${backup@Q}." "See: scripts/backup.sh --list"
backup=$(cd "$backup" && pwd)
find_mode
if stores_are_down; then
    restore_with_stores
    exit 0
fi

step "Checks"
check_files
database=$(database_name)
database_answers || die "PostgreSQL does not answer." "scripts/restart-service.sh postgres"
redis_ping >/dev/null 2>&1 || die "Redis does not answer; it is emptied at the end." "scripts/restart-service.sh redis"
check_versions
check_target
if ((DRY_RUN)); then
    say "would stop: $(serving_services | paste -sd ' ')"
    say "would load $backup/database.dump, compare it, and put it in the place of the database $database"
    say "would empty Redis, delete the price matrices, run migrations, and start the services again"
    exit 0
fi
restore
say "Restored from $backup; all tables are as they were then."

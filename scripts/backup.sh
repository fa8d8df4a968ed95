#!/usr/bin/env bash
# Makes a backup of everything that cannot be computed again: PostgreSQL, which is the truth, and this machine's secrets.
#
#   scripts/backup.sh [--to FOLDER] [--verify] [--keep N] [--dry-run]
#   scripts/backup.sh --list [--to FOLDER]
#
#   --to FOLDER   where backups lie; else NAUTILUS_BACKUPS, else backups in the home folder. Better another disk.
#   --verify      also loads the dump into a database of its own, compares every table, and drops it again; PostgreSQL's
#                 disk must have 2.5 times the database's size free for it (without: FOLDER's disk once its size)
#   --keep N      afterwards deletes all but the N newest backups in that folder
#   --list        the backups that are there, and what is in them
#
# The platform goes on working: dump and row counts are of one moment, the same snapshot. A backup is a folder with
# database.dump (pg_dump's custom format), manifest.json (rows and a fingerprint of each table, migrations, versions),
# with `make run` also secrets.json and settings.env, and SHA256SUMS over all of them. It is there whole or not at all.
# Its folder's name is the last line of the output. Redis holds nothing that PostgreSQL does not: it is left out.
#
# Exit code: 0 made (and verified), 1 not, 2 wrong usage. NAUTILUS_MODE=compose|local overrules what is found.
set -euo pipefail
# shellcheck source=scripts/lib/nautilus.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/nautilus.sh"
# shellcheck source=scripts/lib/database.sh
source "$LIB/database.sh"

# By this name performance-emergency.sh knows the session that holds the snapshot, idle in its transaction.
export PGAPPNAME=nautilus_backup

scratch=""
folder=$(realpath -m "${NAUTILUS_BACKUPS:-$STATE_FOLDER/backups}") verify=0 keep=0 list=0 given=("$@")
while (($#)); do
    case $1 in
        -h | --help) show_help "${BASH_SOURCE[0]}" && exit 0 ;;
        --dry-run) DRY_RUN=1 ;;
        --verify) verify=1 ;;
        --list) list=1 ;;
        --to)
            [[ -n ${2:-} ]] || usage_error "--to needs a folder."
            folder=$(realpath -m "$2")
            shift
            ;;
        --keep)
            number_or_usage --keep "${2:-}"
            keep=$2
            shift
            ;;
        *) usage_error "There is no option $1." ;;
    esac
    shift
done

complete_backups() { find "$folder" -mindepth 1 -maxdepth 1 -type d -name 'nautilus-*Z' 2>/dev/null | sort; }

list_backups() {
    local backup
    while read -r backup; do
        say "$backup  $(du -sh "$backup" | cut -f1)  $(python "$LIB/manifest.py" summary "$backup")"
    done < <(complete_backups)
}

code_version() {
    local version
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/pyproject.toml")
    echo "$version+$(git -C "$ROOT" rev-parse --short HEAD 2>/dev/null || echo unknown)"
}

refuse_little_room() {
    local size free
    size=$(sql "$(database_name)" <<<'SELECT pg_database_size(current_database())')
    free=$(($(df --output=avail -k "$folder" | tail -1) * 1024))
    ((free > size)) || die "The disk of $folder has $((free >> 20)) MB free, the database $((size >> 20)) MB." \
        "Name a folder on another disk: scripts/backup.sh --to FOLDER"
    ((!verify)) || refuse_little_room_to_verify "$size"
}

# The copy with its indexes, the write-ahead log of its load, and what the platform writes meanwhile.
refuse_little_room_to_verify() {
    local needed=$(($1 * 5 / 2)) free
    free=$(postgres_free_bytes)
    [[ -n $free ]] || { warn "The room on PostgreSQL's disk cannot be seen from here." && return 0; }
    ((free > needed)) || die "PostgreSQL's disk has $((free >> 20)) MB free; --verify needs $((needed >> 20)) MB, 2.5 times the database." \
        "Make room, or make the backup without --verify."
}

# --- A session that holds the snapshot while the dump is made -----------------------------------------

open_session() {
    coproc SESSION { sql "$(database_name)" 2>&1; }
    session_in=${SESSION[1]} session_out=${SESSION[0]}
    snapshot=$(ask_session 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();')
    [[ $snapshot =~ ^[0-9A-F-]+$ ]] || die "PostgreSQL gave no snapshot: $snapshot" "Look: scripts/manage.sh doctor"
}

# Asks in that session and prints the answer.
ask_session() {
    local line
    printf '%s\n\\echo :end:\n' "$1" >&"$session_in"
    while IFS= read -r line <&"$session_out"; do
        [[ $line != :end: ]] || return 0
        printf '%s\n' "$line"
    done
    die "The session with PostgreSQL ended while the backup was made."
}

dump() {
    postgres_program pg_dump --format=custom --no-owner --no-privileges --snapshot="$snapshot" -d "$(database_name)" \
        >"$partial/database.dump"
    postgres_program pg_restore --list <"$partial/database.dump" >"$partial/contents.txt"
}

describe() {
    ask_session "$(<"$LIB/fingerprints.sql")" >"$partial/lines"
    python "$LIB/manifest.py" write "$partial" "$MODE" "$(server_major)" "$(code_version)" <"$partial/lines"
    rm "$partial/lines"
}

keep_secrets() {
    [[ $MODE == local ]] || return 0
    cp "$STATE_FOLDER/secrets.json" "$partial/secrets.json"
    env | grep -E '^(NAUTILUS_|DATABASE_URL=|REDIS_URL=)' | sort >"$partial/settings.env"
}

seal() {
    (cd "$partial" && sha256sum -- * >../sums.$$ && mv ../sums.$$ SHA256SUMS)
    mv "$partial" "$backup"
}

make_backup() {
    umask 077
    mkdir -p "$folder"
    refuse_little_room
    backup=$folder/nautilus-$(date -u +%Y%m%dT%H%M%SZ) partial=$folder/.partial.$$
    trap 'rm -rf "$partial"' EXIT
    mkdir "$partial"
    open_session
    step "Dump of the snapshot $snapshot"
    dump
    step "Rows and fingerprint of each table"
    describe
    keep_secrets
    seal
}

# --- Verification and retention ------------------------------------------------------------------------

verify_backup() {
    local difference
    scratch=nautilus_verify_$$ # of the whole script, for the trap: a function's own is gone where `set -e` ends it
    step "Verification: the dump is loaded into $scratch"
    make_database "$scratch"
    trap 'drop_database "$scratch"' EXIT
    load_dump "$scratch" "$backup/database.dump"
    difference=$(fingerprints "$scratch" | python "$LIB/manifest.py" compare "$backup") ||
        die "What was loaded from $backup is not what was dumped:"$'\n'"$difference" "Do not rely on it; make another."
    say "  $difference"
    drop_database "$scratch"
    trap - EXIT
}

delete_old() {
    local old
    complete_backups | head -n "-$keep" | while read -r old; do
        say "  deletes $old"
        rm -rf -- "$old"
    done
}

if ((list)); then list_backups && exit 0; fi
find_mode
if stores_are_down; then
    [[ -d $STATE_FOLDER/postgres ]] || die "There are no data in $STATE_FOLDER." "NAUTILUS_HOME names another home."
    with_stores "$ROOT/scripts/backup.sh" "${given[@]}"
    exit 0
fi
if ((DRY_RUN)); then
    say "would write pg_dump of $(database_name) ($MODE), manifest.json and SHA256SUMS below $folder"
    ((!verify)) || say "would load it into a scratch database, compare every table, and drop that again"
    ((!keep)) || say "would delete all but the $keep newest backups in $folder"
    exit 0
fi
[[ $MODE == compose ]] || local_environment
database_answers || die "PostgreSQL does not answer; no backup can be made." "scripts/restart-service.sh postgres"
make_backup
((!verify)) || verify_backup
((!keep)) || delete_old
say "$backup"

#!/usr/bin/env bash
# Makes the secrets that docker/compose.yaml mounts; those that exist stay as they are.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: docker/make-secrets.sh [--dry-run] [FOLDER]

Writes one file a secret into FOLDER (default: docker/secrets), each with a value of its own:
  secret_key postgres_password redis_password metrics_token flower_basic_auth grafana_password

Files that exist stay as they are, so that it may be run again. The folder is closed to all but its owner;
the files in it can be read by all, because the containers' users are none of this machine's.
EOF
}

dry_run=
folder=$(dirname "$0")/secrets
for argument in "$@"; do
    case $argument in
        --help | -h) usage && exit 0 ;;
        --dry-run) dry_run=1 ;;
        -*) echo "make-secrets.sh: unknown option '$argument'; expected --dry-run or --help." >&2 && exit 2 ;;
        *) folder=$argument ;;
    esac
done

random() { head -c "$1" /dev/urandom | base64 | tr -d '\n=' | tr '+/' '-_'; }

make_secret() {
    local file=$folder/$1 value=$2
    if [ -s "$file" ]; then
        echo "kept  $file"
    elif [ -n "$dry_run" ]; then
        echo "would make  $file"
    else
        printf '%s\n' "$value" >"$file.new"
        chmod 444 "$file.new"
        mv "$file.new" "$file"
        echo "made  $file"
    fi
}

[ -n "$dry_run" ] || { mkdir -p "$folder" && chmod 700 "$folder"; }
make_secret secret_key "$(random 48)"
make_secret postgres_password "$(random 24)"
make_secret redis_password "$(random 24)"
make_secret metrics_token "$(random 24)"
make_secret flower_basic_auth "admin:$(random 12)"
make_secret grafana_password "$(random 12)"

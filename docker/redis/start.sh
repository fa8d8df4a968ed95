#!/bin/sh
# Starts Redis with redis.conf and the password of a file: on the command line everybody could read it. What is read
# from stdin cannot be written back, so that `CONFIG REWRITE` is refused.
set -eu
here=$(dirname "$0")
password_file=${REDIS_PASSWORD_FILE:-/run/secrets/redis_password}
[ -s "$password_file" ] || {
    echo "$password_file is missing or empty; expected the password of Redis (docker/make-secrets.sh makes it)." >&2
    exit 1
}
exec "${REDIS_SERVER:-redis-server}" - <<EOF
$(cat "$here/redis.conf")
maxmemory ${REDIS_MAXMEMORY:-768mb}
requirepass $(cat "$password_file")
${REDIS_EXTRA:-}
EOF

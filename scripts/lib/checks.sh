# shellcheck shell=bash
# The checks of sprint3-health-check.sh. Each prints lines with tabs between: name, ok|warn|FAIL, detail, remedy.
# STATES holds the lines of service_states, asked for once. Of what is left of a room, in percent: below the first number
# it warns, below the second it fails.

ROOM_WARN_PERCENT=15 ROOM_FAIL_PERCENT=5
ANSWER_SECONDS=5

report() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${4:-}"; }

# --- Processes or containers ---------------------------------------------------------------------------

check_processes() {
    local name
    if [[ $MODE == local && -z $STATES ]]; then
        report processes FAIL "supervisord does not say what runs" "tail -n 20 $STATE_FOLDER/logs/supervisord.log"
        return
    fi
    while read -r name; do
        report_service "$name" "$(states_of "$name")"
    done < <(service_names)
}

states_of() { awk -F '\t' -v name="$1" '$1 == name { print $2 }' <<<"$STATES" | sort -u | paste -sd ' '; }

# report_service NAME STATES: of all its replicas; a service that runs is one whose replicas all do.
report_service() {
    local remedy="scripts/restart-service.sh $1"
    if [[ $2 == running ]]; then
        report "$1" ok running
    elif is_remembered "$1"; then
        report "$1" warn "isolated: an operator keeps it stopped" "scripts/isolate-service.sh $1 --release"
    elif [[ -z $2 ]]; then
        if [[ $MODE == local ]]; then return 0; fi # an own PostgreSQL or Redis is not ours to start
        report "$1" FAIL "has no container" "$remedy"
    else
        report "$1" FAIL "is $2" "$remedy"
    fi
}

# --- API and sockets -------------------------------------------------------------------------------------

check_api() {
    local code
    code=$(curl --silent --noproxy '*' --max-time "$ANSWER_SECONDS" --output /dev/null --write-out '%{http_code}' \
        --config <(certificates) "$(api_address)/health") || true
    case $code in
        200) report api ok "/health answers 200" ;;
        503) report api FAIL "/health answers 503: something below is not well" "scripts/manage.sh doctor" ;;
        400) report api FAIL "/health answers 400: the API does not take the host in $(api_address)" \
            "name it in NAUTILUS_ALLOWED_HOSTS, or export NAUTILUS_ADDRESS=<an address whose host stands there>" ;;
        401 | 403) report api FAIL "/health answers $code: who is at $(api_address) is not the API, which lets everyone in there" \
            "export NAUTILUS_ADDRESS=<the API's own address>" ;;
        000) report api FAIL "no answer from $(api_address)/health within $ANSWER_SECONDS s" "scripts/restart-service.sh web" ;;
        *) report api FAIL "/health answers $code, expected 200" "scripts/restart-service.sh web" ;;
    esac
}

check_components() {
    local body
    body=$(api GET /api/v1/sprint3/system/health 2>&1) || true
    python "$LIB/health_lines.py" <<<"$body" | warn_of_isolated && return
    if [[ $body == *not_authenticated* || $body == *permission_denied* || $body == *authentication_failed* ]]; then
        report components FAIL "the API gives its components to an operator alone" "export NAUTILUS_TOKEN=<an operator's token>"
    else
        report components FAIL "no health from the API: $(head -c 200 <<<"${body//[$'\n\t']/ }")" "scripts/restart-service.sh web"
    fi
}

# What fails because an operator keeps a service stopped is his choice; its remedy would be refused.
warn_of_isolated() {
    awk -F '\t' -v OFS='\t' -v isolated="$(stopped_by_an_operator | paste -sd ' ')" '
        BEGIN { split(isolated, names, " "); for (i in names) releases["scripts/restart-service.sh " names[i]] = names[i] }
        $2 == "FAIL" && $4 in releases {
            $2 = "warn"; $3 = $3 " (" releases[$4] " is isolated)"
            $4 = "scripts/isolate-service.sh " releases[$4] " --release"
        }
        { print }'
}

stopped_by_an_operator() {
    local name
    while read -r name; do [[ $(states_of "$name") == running ]] || echo "$name"; done < <(isolated_services)
}

check_sockets() {
    local said address
    address=$(api_address)
    if said=$(python "$LIB/socket_probe.py" "ws${address#http}/ws/system/health"); then
        report sockets ok "/ws/system/health says $(head -c 60 <<<"$said")"
    else
        report sockets FAIL "/ws/system/health: $said" "scripts/restart-service.sh web"
    fi
}

# --- Stores ----------------------------------------------------------------------------------------------

check_postgres() {
    local version
    if version=$(PGCONNECT_TIMEOUT=$ANSWER_SECONDS LIMIT_SECONDS=$((2 * ANSWER_SECONDS)) sql "$(database_name)" <<<'SHOW server_version' 2>&1); then
        report postgres ok "PostgreSQL $version"
    else
        report postgres FAIL "${version//[$'\n\t']/ }" "scripts/restart-service.sh postgres"
    fi
}

check_redis() {
    local said
    if said=$(redis_ping 2>&1); then
        report redis ok "$said"
    else
        report redis FAIL "$(tail -n 1 <<<"$said")" "scripts/restart-service.sh redis"
    fi
}

# --- Monitoring ------------------------------------------------------------------------------------------

# With compose Prometheus and Grafana are expected; with `make run` where their addresses are given.
check_monitoring() {
    local prometheus=${NAUTILUS_PROMETHEUS_URL:-} grafana=${NAUTILUS_GRAFANA_URL:-}
    if [[ $MODE == compose ]]; then
        prometheus=${prometheus:-http://127.0.0.1:9090} grafana=${grafana:-http://127.0.0.1:3001}
    fi
    [[ -z $prometheus ]] || check_page prometheus "$prometheus/-/ready" prometheus
    [[ -z $grafana ]] || check_page grafana "$grafana/api/health" grafana
}

check_page() {
    if curl --silent --fail --noproxy '*' --max-time "$ANSWER_SECONDS" --output /dev/null "$2"; then
        report "$1" ok "$2"
    else
        report "$1" FAIL "no answer from $2" "scripts/restart-service.sh $3"
    fi
}

# --- The machine -----------------------------------------------------------------------------------------

check_resources() {
    check_disk
    check_memory
    check_descriptors
}

check_disk() {
    local free size
    read -r free size < <(df --output=avail,size -k "$STATE_FOLDER" 2>/dev/null | tail -1 || df --output=avail,size -k / | tail -1)
    report_room disk-space "$free" "$size" "$((free >> 10)) MB free on the disk of $STATE_FOLDER" \
        "scripts/manage.sh doctor --fix --only disk"
}

check_memory() {
    local free size
    free=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo) size=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)
    report_room memory "$free" "$size" "$((free >> 10)) MB of memory available" "scripts/performance-emergency.sh"
}

# Of each process its own limit counts, and of the machine's all processes together.
check_descriptors() {
    local used limit pid name state
    read -r used _ limit </proc/sys/fs/file-nr
    report_room descriptors "$((limit - used))" "$limit" "$used of $limit file descriptors of the machine in use" \
        "scripts/performance-emergency.sh"
    [[ $MODE == local ]] || return 0
    while IFS=$'\t' read -r name state pid; do
        [[ $state == running && -r /proc/$pid/limits ]] || continue
        report_descriptors_of "$name" "$pid"
    done <<<"$STATES"
}

report_descriptors_of() {
    local used limit
    used=$(find "/proc/$2/fd" -mindepth 1 2>/dev/null | wc -l)
    limit=$(awk '/^Max open files/ { print $4 }' "/proc/$2/limits")
    if [[ $limit != unlimited ]] && (((limit - used) * 100 < limit * ROOM_WARN_PERCENT)); then
        report_room "descriptors-of-$1" "$((limit - used))" "$limit" "$used of $limit file descriptors in use" \
            "scripts/restart-service.sh $1"
    fi
}

# report_room NAME FREE SIZE DETAIL REMEDY
report_room() {
    local percent=$(($2 * 100 / ($3 > 0 ? $3 : 1)))
    if ((percent < ROOM_FAIL_PERCENT)); then
        report "$1" FAIL "$4 ($percent %)" "$5"
    elif ((percent < ROOM_WARN_PERCENT)); then
        report "$1" warn "$4 ($percent %)" "$5"
    else
        report "$1" ok "$4"
    fi
}

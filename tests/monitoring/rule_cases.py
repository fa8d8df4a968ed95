"""Of each rule the made-up series under which it fires, and those nearest to them under which it does not.

Values are promtool's: `1x40` is 1 in 41 scrapes of 15 s, one after the other; `_x40` are 41 scrapes without the series.
"""

from dataclasses import dataclass

Series = dict[str, str]

UP, OTHER = "1x40", "0x40"


@dataclass(frozen=True, slots=True)
class Case:
    fires: Series
    calm: Series
    after: str = "10m"


def level(series: str, high: float, low: float, after: str = "10m", scrapes: int = 40) -> Case:
    """Of a rule on one series: it fires at `high`, and not at `low`."""
    return Case({series: f"{high}x{scrapes}"}, {series: f"{low}x{scrapes}"}, after)


def growth(series: str, by: int = 3, calm_by: int = 0) -> Case:
    """Of a counter that grows in the last five minutes, and one that stays or grows by less."""
    return Case({series: f"7x30 {7 + by}x10"}, {series: f"7x30 {7 + calm_by}x10"})


def first_one(series: str) -> Case:
    """Of a counter whose series begins with its first count, unseen by `increase`; an hour later it is over."""
    return Case({series: "_x270 1x10"}, {series: "1x300"}, after="70m")


def of(metric: str, **labels: str) -> str:
    named = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return f"nautilus_{metric}{{{named}}}" if named else f"nautilus_{metric}"


QUEUE = {"queue": "risk_queue"}
WAITS, ROOM, IDLE = of("queue_length", **QUEUE), of("queue_free_slots", **QUEUE), of("queue_idle_seconds", **QUEUE)
KEYS, ENTRIES = of("redis_keys"), of("cache_entries", prefix="risk")
MEMORY, MEMORY_MAX = of("redis_memory_bytes"), of("redis_memory_max_bytes")
EVICTED = of("redis_evicted_keys_total")
PRIMARIES = of("redis_primaries")
HOST_A, HOST_B = (of("redis_host_up", host=host, kind="server") for host in ("a:1", "b:1"))
USED, MOST = of("database_connections_used"), of("database_connections_max")
DEAD, DEAD_RATIO = of("database_dead_rows", table="t"), of("database_dead_rows_ratio", table="t")
FREE, SIZE = of("disk_free_bytes", place="home"), of("disk_size_bytes", place="home")
OPEN, OPEN_MOST = of("process_open_files", process="a:1"), of("process_open_files_max", process="a:1")
ACTIVE, ACTIVE_MOST = of("websocket_active", process="a:1"), of("websocket_max", process="a:1")
LAG, STALE = of("feed_lag_seconds"), of("feed_stale_after_seconds")
WORKING, STUCK = of("deployment_oldest_working_seconds"), of("deployment_stuck_after_seconds")
REQUESTS, ERRORS = of("http_requests_total", status="200"), of("http_requests_total", status="503")

CASES: dict[str, Case] = {
    # Sockets
    "SocketsRefusedByOrigin": growth(of("websocket_refused_origins_total", process="a:1")),
    "SocketsPoolNearlyExhausted": Case(
        {ACTIVE: "1901x40", ACTIVE_MOST: "2000x40"}, {ACTIVE: "1799x40", ACTIVE_MOST: "2000x40"}
    ),
    "SocketsPoolExhausted": growth(of("websocket_turned_away_total", process="a:1")),
    "SocketsSubscribedButSilent": Case(
        {of("websocket_processes"): "0x40"},
        {
            of("websocket_processes"): "1x40",
            of("websocket_silent_processes"): "0x40",
            of("scrape_up", source="sockets"): UP,
        },
    ),
    "SocketsSlowDelivery": level(of("websocket_latency_seconds", percentile="99"), 1.2, 0.9),
    "SocketsSlowReaders": growth(of("websocket_slow_consumers_total", process="a:1")),
    "SocketsStaleConnections": level(of("websocket_stale", process="a:1"), 1, 0),
    # Risk
    "RiskFiguresStuck": level(of("risk_monitoring_stalled"), 1, 0),
    "RiskMonitorFails": level(of("risk_monitoring_failing"), 1, 0),
    "RiskCacheStale": Case({of("cache_aggressive"): "1x300"}, {of("cache_aggressive"): "1x200 0x0 1x100"}, after="65m"),
    "RiskMissingIndex": level(of("database_index_present", index="idx_risk_limits_active"), 0, 1),
    "RiskMonitoringOff": level(of("risk_monitoring_enabled"), 0, 1),
    "RiskLimitsUnknown": level(of("limits", status="unknown"), 1, 0),
    "AlertsNotDelivered": level(of("alert_delivery_oldest_seconds", kind="email"), 61, 59),
    "AlertsGivenUp": first_one(of("alert_attempts_total", kind="slack", outcome="dead")),
    # Analytics, queues and prices
    "AnalyticsOverTime": first_one(of("tasks_failed_total", kind="risk.analyze", code="time_limit_exceeded")),
    "QueueGrownLong": level(of("queue_oldest_task_seconds", **QUEUE), 31, 29),
    "QueueTooLong": level(of("queue_oldest_task_seconds", **QUEUE), 301, 299),
    "AnalyticsDashboardStatic": Case(
        {of("streaming_engines"): "0x40"},
        {of("streaming_engines"): "1x40", of("streaming_silent_seconds", engine="a"): "1x40"},
    ),
    "MarketDataStopped": Case({LAG: "6x40", STALE: "5x40"}, {LAG: "4x40", STALE: "5x40"}),
    # Strategies
    "DeploymentStuck": Case({WORKING: "1801x40", STUCK: "1800x40"}, {WORKING: "1799x40", STUCK: "1800x40"}),
    "DeploymentFailing": level(of("deployment_failures_in_row", deployment="DEPLOY_001"), 1, 0),
    "RollbackFailing": level(of("rollbacks_failed_last_hour"), 1, 0),
    "VersionConflict": level(of("merge_request_oldest_seconds"), 86_401, 86_399),
    # PostgreSQL
    "DatabaseSlowQuery": level(of("database_longest_query_seconds"), 11, 9),
    "DatabasePoolNearlyExhausted": Case({USED: "81x40", MOST: "100x40"}, {USED: "80x40", MOST: "100x40"}),
    "DatabasePoolExhausted": Case({USED: "96x40", MOST: "100x40"}, {USED: "95x40", MOST: "100x40"}),
    "DatabaseGone": level(of("scrape_up", source="database"), 0, 1),
    "DatabaseLongTransaction": level(of("database_longest_transaction_seconds"), 61, 59),
    "DatabaseBloat": Case(
        {DEAD: "50001x200", DEAD_RATIO: "0.31x200"}, {DEAD: "49999x200", DEAD_RATIO: "0.31x200"}, after="35m"
    ),
    # Redis
    "RedisGone": level(of("scrape_up", source="redis"), 0, 1),
    "RedisSlow": level(of("redis_latency_seconds"), 0.2, 0.05),
    "RedisRestarted": level(of("redis_uptime_seconds"), 299, 301),
    # 2,000 keys and 1,000 answers: clearing the answers is no wipe.
    "RedisWiped": Case(
        {KEYS: "3000x20 50x20", ENTRIES: "1000x20 0x20"}, {KEYS: "3000x20 2000x20", ENTRIES: "1000x20 0x20"}
    ),
    "RedisMemoryNearlyFull": Case({MEMORY: "81x40", MEMORY_MAX: "100x40"}, {MEMORY: "81x40", MEMORY_MAX: "0x40"}),
    "RedisMemoryFull": Case(
        {MEMORY: "96x40", MEMORY_MAX: "100x40"}, {MEMORY: "95x40", MEMORY_MAX: "100x40", EVICTED: "7x40"}
    ),
    # One server alone that is away is RedisGone.
    "RedisPrimaryLost": Case(
        {PRIMARIES: "0x40", HOST_A: OTHER, HOST_B: UP}, {PRIMARIES: "0x40", HOST_A: OTHER, of("redis_is_primary"): UP}
    ),
    "RedisReplicaLost": Case(
        {PRIMARIES: "1x40", HOST_A: OTHER, HOST_B: UP}, {PRIMARIES: "0x40", HOST_A: OTHER, HOST_B: OTHER}
    ),
    "RedisStalePrimary": level(of("redis_stale_primary", host="a:1"), 1, 0),
    "RedisSlowCommands": Case(
        {of("redis_slow_commands_total"): "0+2x80"}, {of("redis_slow_commands_total"): "0+0.5x80"}, after="15m"
    ),
    # Workers and the scheduler
    "WorkerKilled": level(of("worker_alive", worker="risk-worker@a"), 0, 1),
    "WorkerOutOfMemory": growth(of("worker_lost_processes_total", worker="risk-worker@a"), by=1),
    "WorkerPoisonTask": first_one(of("tasks_failed_total", kind="risk.analyze", code="worker_lost")),
    "WorkerNotConsuming": Case(
        {WAITS: "1x40", ROOM: "1x40", IDLE: "31x40"}, {WAITS: "1x40", ROOM: "0x40", IDLE: "31x40"}
    ),
    "WorkerReplacedItself": level(of("worker_replaced_last_hour", worker="risk-worker@a"), 1, 0),
    "WorkersAllGone": level(of("queue_workers", **QUEUE), 0, 1),
    "SchedulerGone": level(of("schedulers_leading"), 0, 1),
    "SchedulerTwo": level(of("schedulers_leading"), 2, 1),
    # The API and its machine
    "WebGone": Case({'up{job="nautilus",instance="a"}': OTHER}, {'up{job="nautilus",instance="a"}': UP}),
    "WebReplicaGone": Case(
        {'up{job="nautilus-replicas",instance="a"}': OTHER}, {'up{job="nautilus-replicas",instance="a"}': UP}
    ),
    "WebErrors": Case({REQUESTS: "0+90x40", ERRORS: "0+10x40"}, {REQUESTS: "0+96x40", ERRORS: "0+4x40"}),
    "DiskNearlyFull": Case({FREE: "99e9x40", SIZE: "1000e9x40"}, {FREE: "101e9x40", SIZE: "1000e9x40"}),
    "DiskFull": Case({FREE: "29e9x40", SIZE: "1000e9x40"}, {FREE: "31e9x40", SIZE: "1000e9x40"}),
    "ClockSkew": level(of("database_clock_skew_seconds"), -1.5, -0.5),
    "FileDescriptors": Case({OPEN: "81x40", OPEN_MOST: "100x40"}, {OPEN: "80x40", OPEN_MOST: "100x40"}),
    "HealthFinding": level(of("health_finding", component="disk", section="disk-full"), 2, 1),
}

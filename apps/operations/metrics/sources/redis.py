"""Redis itself, and the lengths of the queues in it."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from prometheus_client import Metric

from apps.operations.metrics.families import counter, gauge, single
from apps.operations.metrics.sources.registry import register_source
from nautilus.connections import redis_client

_GAUGES = {
    "used_memory": ("redis_memory_bytes", "What Redis has in memory"),
    "maxmemory": ("redis_memory_max_bytes", "What it may have; 0: as much as the machine gives"),
    "used_memory_rss": ("redis_memory_resident_bytes", "What its process takes of the machine"),
    "connected_clients": ("redis_clients", "Clients that are connected"),
    "maxclients": ("redis_clients_max", "How many it takes"),
    "blocked_clients": ("redis_clients_blocked", "Clients that wait in a blocking command"),
    "uptime_in_seconds": ("redis_uptime_seconds", "Since its process began"),
    "connected_slaves": ("redis_replicas", "Replicas that are connected"),
    "instantaneous_ops_per_sec": ("redis_commands_per_second", "Commands a second, as Redis says"),
    "loading": ("redis_loading", "1 where it loads its data and takes no command"),
}
_COUNTERS = {
    "evicted_keys": ("redis_evicted_keys", "Keys that were given up for want of memory"),
    "rejected_connections": ("redis_rejected_connections", "Connections refused at maxclients"),
    "total_commands_processed": ("redis_commands", "Commands carried out"),
    "total_error_replies": ("redis_error_replies", "Commands answered with an error"),
}


@register_source("redis")
def redis() -> Iterator[Metric]:
    client = redis_client()
    begun = time.perf_counter()
    client.ping()
    latency_seconds = time.perf_counter() - begun
    asked_at = time.time()
    pipeline: Any = client.pipeline(transaction=False)
    pipeline.time().info().slowlog_get(1).dbsize()
    for queue in settings.CELERY_TASK_QUEUES:
        pipeline.llen(queue)
    (second, microsecond), told, slow, keys, *lengths = pipeline.execute()
    yield single("redis_latency_seconds", "Round trip of a PING", latency_seconds)
    yield single("redis_clock_skew_seconds", "Redis' clock minus this process'", _skew(second, microsecond, asked_at))
    yield single("redis_keys", "Keys in the database that the platform uses", keys)
    yield single("redis_is_primary", "1 where the Redis that is asked takes writes", float(told["role"] == "master"))
    yield single("redis_persistence_ok", "0 where its last write to disk failed", float(_persists(told)))
    yield from (single(*_GAUGES[name], told[name]) for name in _GAUGES if name in told)
    yield from (counter(*_COUNTERS[name], [], [((), told[name])]) for name in _COUNTERS if name in told)
    number = slow[0]["id"] + 1 if slow else 0
    yield counter("redis_slow_commands", "Commands that were slower than slowlog-log-slower-than", [], [((), number)])
    rows = [((queue,), length) for queue, length in zip(settings.CELERY_TASK_QUEUES, lengths, strict=True)]
    yield gauge("queue_length", "Messages that no worker has taken", ["queue"], rows)


def _skew(second: int, microsecond: int, asked_at: float) -> float:
    """Zero where their clock lies between our two looks at our own."""
    theirs, now = second + microsecond / 1e6, time.time()
    return theirs - now if theirs > now else min(theirs - asked_at, 0.0)


def _persists(told: Mapping[str, Any]) -> bool:
    names = ("rdb_last_bgsave_status", "aof_last_bgrewrite_status", "aof_last_write_status")
    return all(told.get(name, "ok") == "ok" for name in names)

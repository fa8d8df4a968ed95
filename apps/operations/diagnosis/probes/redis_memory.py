"""Redis' memory, what it threw away for want of it, and whether it can write to its disk."""

from collections.abc import Iterator
from typing import Any

from apps.operations.diagnosis.asking import megabytes
from apps.operations.diagnosis.fixing import Fix
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status
from nautilus.connections import redis_client

DEGRADED_SHARE = 0.80
UNHEALTHY_SHARE = 0.95
MOST_FRAGMENTATION = 2.0
FRAGMENTATION_FROM_BYTES = 256 * 2**20
SECTION = "redis-memory-full"


@register_probe("redis-memory", Store.REDIS)
def look() -> Diagnosis:
    """Redis' memory against maxmemory, fragmentation, evictions, and whether it can write to its disk"""
    info: dict[str, Any] = redis_client().info()
    used, most = int(info["used_memory"]), int(info["maxmemory"])
    detail = (
        f"{megabytes(used)} of {megabytes(most) if most else 'no maxmemory'}, {info['evicted_keys']} keys evicted, "
        f"policy {info['maxmemory_policy']}, fragmentation {info['mem_fragmentation_ratio']:.1f}."
    )
    return Diagnosis(detail, (*_fill(used, most), *_evictions(info), *_fragmentation(info), *_disk(info)))


def _fill(used: int, most: int) -> Iterator[Finding]:
    if most and used >= DEGRADED_SHARE * most:
        yield Finding(
            Status.UNHEALTHY if used >= UNHEALTHY_SHARE * most else Status.DEGRADED,
            f"Redis holds {megabytes(used)} of {megabytes(most)}: when it is full it refuses tasks and messages.",
            "Queues that nobody works off, cached answers, or topics with long histories.",
            "curl -X POST http://localhost:8001/api/v1/cache/clear -H 'Content-Type: application/json' -d '{}'",
            SECTION,
        )


def _evictions(info: dict[str, Any]) -> Iterator[Finding]:
    """A queue is a key like any other: what is evicted may have been one."""
    if int(info["evicted_keys"]):
        yield Finding(
            Status.UNHEALTHY,
            f"Redis has thrown {info['evicted_keys']} keys away for want of memory: tasks' messages may be among them.",
            f"maxmemory-policy is {info['maxmemory_policy']}; expected noeviction.",
            "scripts/manage.sh doctor --fix --only queue-lengths redis-memory",
            SECTION,
            Fix("count evicted keys anew (CONFIG RESETSTAT)", count_anew),
        )


def count_anew() -> str:
    """Redis counts since its start: an eviction that was dealt with would be told of for ever."""
    client = redis_client()
    evicted = client.info("stats")["evicted_keys"]
    client.config_resetstat()
    return f"{evicted} keys were evicted until now; Redis' statistics are counted anew"


def _fragmentation(info: dict[str, Any]) -> Iterator[Finding]:
    ratio, resident = float(info["mem_fragmentation_ratio"]), int(info["used_memory_rss"])
    if ratio > MOST_FRAGMENTATION and resident > FRAGMENTATION_FROM_BYTES:
        yield Finding(
            Status.DEGRADED,
            f"Redis takes {megabytes(resident)} of the machine for {megabytes(int(info['used_memory']))} of data.",
            f"Its memory is fragmented, {ratio:.1f} times.",
            "scripts/restart-service.sh redis",
            SECTION,
        )


def _disk(info: dict[str, Any]) -> Iterator[Finding]:
    names = ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
    failed = [name for name in names if info.get(name, "ok") != "ok"]
    if failed:
        yield Finding(
            Status.UNHEALTHY,
            f"Redis could not write to its disk ({', '.join(failed)}): it may refuse all that is sent.",
            "Its disk is full, or its folder is not writable.",
            "scripts/manage.sh doctor --only disk disk-use",
            "disk-full",
        )

"""Redis: whether it answers, takes a write, has room, and has its replicas."""

from dataclasses import replace
from typing import Any

from redis import Redis
from redis.exceptions import BusyLoadingError, RedisError

from apps.operations.checks.redis_hosts import findings_of_hosts
from apps.operations.checks.registry import register_check
from apps.operations.findings import Finding, Health, Status
from apps.operations.stores import RESTART_REDIS, SHOW_DISK, redis_finding, redis_memory_full
from nautilus.connections import impatient_redis_client

# Of maxmemory. Redis refuses writes when it is full (noeviction), so a hand is needed before that.
MUCH_MEMORY_SHARE = 0.80
TOO_MUCH_MEMORY_SHARE = 0.95
# So long a restart is told of: what Redis alone held may be gone since.
RESTART_TOLD_SECONDS = 300

_KEEPS_ALL = "noeviction"
_PROBE_KEY = "health:write-probe"
_PROBE_LIVES_MS = 10_000
_MIB = 2**20


@register_check("redis")
def check_redis() -> Health:
    client = impatient_redis_client()
    try:
        info: dict[str, Any] = client.info()  # answers at once, also while it loads
        written = _write_probe(client)
    except RedisError as error:
        return Health("not reached", (redis_finding(error), *findings_of_hosts()))
    found = (written, _of_memory(info, written), _of_policy(info), _of_disk(info), _of_role(info))
    return Health(_detail(info), (*(finding for finding in found if finding), *findings_of_hosts()))


def _write_probe(client: Redis) -> Finding | None:
    """What Redis says to a small write: a full memory, a full disk and a replica show only there."""
    try:
        client.set(_PROBE_KEY, "1", px=_PROBE_LIVES_MS)
    except BusyLoadingError:
        raise
    except RedisError as error:
        return redis_finding(error)
    return None


def _detail(info: dict[str, Any]) -> str:
    most = int(info.get("maxmemory", 0))
    room = f"of {most / _MIB:.0f} MiB" if most else "and no maxmemory"
    up_seconds = int(info["uptime_in_seconds"])
    told = f"{info['role']}, {info['used_memory'] / _MIB:.1f} MiB used {room}, {info['connected_clients']} clients"
    if up_seconds >= RESTART_TOLD_SECONDS:
        return told
    keys = int(info.get("db0", {}).get("keys", 0))
    return f"{told}; restarted {up_seconds} s ago, holds {keys} keys"


def _of_memory(info: dict[str, Any], written: Finding | None) -> Finding | None:
    most, used = int(info.get("maxmemory", 0)), int(info["used_memory"])
    if not most or written is not None or used <= MUCH_MEMORY_SHARE * most:
        return None
    full = redis_memory_full(f"{used / _MIB:.1f} of {most / _MIB:.1f} MiB are used ({used / most:.0%} of maxmemory).")
    if used > TOO_MUCH_MEMORY_SHARE * most:
        return full
    symptom = "Redis' memory fills up"
    return replace(full, status=Status.DEGRADED, symptom=symptom)


def _of_policy(info: dict[str, Any]) -> Finding | None:
    policy = info.get("maxmemory_policy", _KEEPS_ALL)
    if not int(info.get("maxmemory", 0)) or policy == _KEEPS_ALL:
        return None
    cause = f"maxmemory-policy is {policy}; expected {_KEEPS_ALL}, in Redis' configuration (or by CONFIG SET, at once)."
    symptom, remedy = "Redis would throw messages away for room", "scripts/manage.sh doctor --only redis-memory"
    return Finding(Status.DEGRADED, symptom, cause, remedy, "redis-memory-full")


def _of_disk(info: dict[str, Any]) -> Finding | None:
    """Redis goes on for a while after a failed write to its file, and would lose it all at the next restart."""
    states = {name: info.get(name, "ok") for name in ("aof_last_write_status", "rdb_last_bgsave_status")}
    failed = [name for name, state in states.items() if state != "ok"]
    if not failed:
        return None
    cause = f"{' and '.join(failed)} {'is' if len(failed) == 1 else 'are'} err: its last write to disk failed."
    return Finding(Status.UNHEALTHY, "Redis cannot keep its data on disk", cause, SHOW_DISK, "disk-full")


def _of_role(info: dict[str, Any]) -> Finding | None:
    if info["role"] == "master" or info.get("master_link_status") == "up":
        return None
    cause = f"It is a replica of {info.get('master_host')}:{info.get('master_port')}, which it has lost."
    return Finding(Status.UNHEALTHY, "Redis has lost its primary", cause, RESTART_REDIS, "redis-primary-lost")

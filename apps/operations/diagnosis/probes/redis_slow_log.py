"""Commands that kept Redis busy, and everybody else waiting."""

import time
from typing import Any

from apps.operations.diagnosis.asking import shortened
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status
from nautilus.connections import redis_client

SLOW_MS = 200.0
RECENT_SECONDS = 600.0
MOST_ENTRIES = 128


@register_probe("redis-slow-log", Store.REDIS)
def look() -> Diagnosis:
    """Commands that kept Redis busy for long, of the last ten minutes"""
    client = redis_client()
    now = client.time()[0]
    entries: list[dict[str, Any]] = client.slowlog_get(MOST_ENTRIES)
    recent = [entry for entry in entries if now - entry["start_time"] <= RECENT_SECONDS]
    slow = [entry for entry in recent if entry["duration"] / 1000 >= SLOW_MS]
    minutes = RECENT_SECONDS / 60
    detail = f"{len(recent)} entries in the slow log within {minutes:g} minutes, {len(slow)} over {SLOW_MS:g} ms."
    return Diagnosis(detail, (_finding(slow),) if slow else ())


def _finding(slow: list[dict[str, Any]]) -> Finding:
    slowest = max(slow, key=lambda entry: entry["duration"])
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(slowest["start_time"]))
    return Finding(
        Status.DEGRADED,
        f"Redis was busy with one command for {slowest['duration'] / 1000:,.0f} ms, and all others waited "
        f"({len(slow)} such commands in ten minutes).",
        f"At {at}: {shortened(_text(slowest['command']))}",
        "scripts/manage.sh doctor --only redis-slow-log redis-memory redis-clients",
        "redis-slow-log",
    )


def _text(command: str | bytes) -> str:
    return command.decode(errors="replace") if isinstance(command, bytes) else command

"""The clocks of this machine, of PostgreSQL and of Redis."""

import time
from collections.abc import Callable, Iterator

from apps.operations.diagnosis.asking import value
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status
from nautilus.connections import redis_client

# Leases last TASK_LEASE_SECONDS, 3 at the least; what is later than that looks lost.
DEGRADED_SECONDS = 1.0
UNHEALTHY_SECONDS = 10.0

_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"


@register_probe("clock-skew", Store.POSTGRESQL, Store.REDIS)
def look() -> Diagnosis:
    """The clocks of this machine, of PostgreSQL and of Redis against each other"""
    ahead = {"PostgreSQL": seconds_ahead(lambda: value(_NOW)), "Redis": seconds_ahead(_redis_time)}
    detail = ", ".join(f"{name} {seconds:+.3f} s" for name, (seconds, _) in ahead.items())
    return Diagnosis(f"Against this machine: {detail}.", tuple(_findings(ahead)))


def _redis_time() -> float:
    seconds, microseconds = redis_client().time()
    return seconds + microseconds / 1e6


def seconds_ahead(ask: Callable[[], float]) -> tuple[float, float]:
    """How far a clock is ahead of ours, and by how much that may be wrong: half the time that the answer took."""
    ask()  # connects, which must not count
    before = time.time()
    told = ask()
    after = time.time()
    return told - (before + after) / 2, (after - before) / 2


def _findings(ahead: dict[str, tuple[float, float]]) -> Iterator[Finding]:
    for name, (seconds, uncertain) in ahead.items():
        if abs(seconds) - uncertain > DEGRADED_SECONDS:
            yield _finding(name, seconds)


def _finding(name: str, seconds: float) -> Finding:
    return Finding(
        Status.UNHEALTHY if abs(seconds) > UNHEALTHY_SECONDS else Status.DEGRADED,
        f"The clock of {name} is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this machine's.",
        "One of the machines does not follow a time server: leases, stale prices and deadlines are judged wrongly.",
        "timedatectl set-ntp true",
        "clock-skew",
    )

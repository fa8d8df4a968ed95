"""Who is connected to Redis, who waits there, and who reads too slowly."""

from collections.abc import Iterator
from typing import Any

from apps.operations.diagnosis.asking import megabytes
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status
from nautilus.connections import redis_client

DEGRADED_SHARE = 0.80
UNHEALTHY_SHARE = 0.95
LARGE_OUTPUT_BYTES = 8 * 2**20
SECTION = "redis-time-outs"


@register_probe("redis-clients", Store.REDIS)
def look() -> Diagnosis:
    """Redis' clients against maxclients, those that wait (workers for tasks do), and those that read too slowly"""
    client = redis_client()
    info: dict[str, Any] = client.info("clients")
    refused = int(client.info("stats")["rejected_connections"])
    most, count = int(info["maxclients"]), int(info["connected_clients"])
    slow = [one for one in client.client_list() if int(one.get("omem", 0)) >= LARGE_OUTPUT_BYTES]
    detail = (
        f"{count} of {most:,} clients, {info['blocked_clients']} wait, {refused} were refused, {len(slow)} are slow."
    )
    return Diagnosis(detail, (*_crowd(count, most), *map(_slow, slow)))


def _crowd(count: int, most: int) -> Iterator[Finding]:
    if count >= DEGRADED_SHARE * most:
        yield Finding(
            Status.UNHEALTHY if count >= UNHEALTHY_SHARE * most else Status.DEGRADED,
            f"Redis has {count:,} of {most:,} clients: soon it refuses more.",
            "Clients that do not close their connections, or more processes than maxclients was set for.",
            "scripts/restart-service.sh web",
            SECTION,
        )


def _slow(client: dict[str, str]) -> Finding:
    return Finding(
        Status.DEGRADED,
        f"A client of Redis ({client['addr']}, {client.get('name') or 'no name'}) does not read: "
        f"{megabytes(int(client['omem']))} wait for it.",
        f"It hangs, or is stopped; its last command was {client.get('cmd', 'unknown')}.",
        "scripts/restart-service.sh web",
        "sockets-slow-delivery",
    )

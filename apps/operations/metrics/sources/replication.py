"""The servers of REDIS_URL and the Sentinels, each as it says itself: one for each that REDIS_URL leads to."""

from collections.abc import Iterator

from prometheus_client import Metric

from apps.operations.metrics.families import gauge, single
from apps.operations.metrics.sources.registry import register_source
from nautilus.replication import redis_hosts


@register_source("replication")
def replication() -> Iterator[Metric]:
    hosts = redis_hosts()
    up = [((one.host, one.kind), float(one.is_reachable)) for one in hosts]
    yield gauge("redis_host_up", "1 for a server or Sentinel that answers", ["host", "kind"], up)
    primaries = sum(one.is_primary for one in hosts)
    yield single("redis_primaries", "Servers that the platform writes to: exactly one is right", primaries)
    servers = [one for one in hosts if one.kind == "server"]
    stale = [((one.host,), float(one.is_stale_primary)) for one in servers]
    yield gauge("redis_stale_primary", "1 for one that takes itself for the primary and is not", ["host"], stale)
    behind = [((one.host,), one.behind_bytes) for one in servers]
    yield gauge("redis_replica_behind_bytes", "What a replica has less than the primary", ["host"], behind)

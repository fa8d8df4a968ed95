"""The kept answers. Counts are of all processes, and stand in Redis; entries are looked for key by key."""

from collections.abc import Iterator

from prometheus_client import Metric

from apps.operations.metrics.families import counter, gauge, single
from apps.operations.metrics.sources.registry import register_source
from nautilus.cache import control


@register_source("cache")
def cache() -> Iterator[Metric]:
    told = control.status()
    counts = [((name,), told[name]) for name in control.COUNTED]
    yield counter("cache_requests", "Asked of the cache, by how it went", ["outcome"], counts)
    entries = [((prefix,), number) for prefix, number in told["entries_by_prefix"].items()]
    yield gauge("cache_entries", "Answers that are kept", ["prefix"], entries)
    yield single("cache_bytes", "What they take in Redis", told["bytes"])
    yield single("cache_max_bytes", "What they may take", told["max_bytes"])
    yield single("cache_aggressive", "1 in the aggressive mode", float(told["mode"] == "aggressive"))

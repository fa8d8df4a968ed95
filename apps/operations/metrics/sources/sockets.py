"""What the hubs of all web processes say of their sockets; a series each, as one that ends takes its counts along."""

from collections import Counter as Count
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import Metric

from apps.operations.metrics.families import counter, gauge, single
from apps.operations.metrics.sources.registry import register_source
from apps.realtime.control import ask_hubs
from apps.realtime.latency import Latencies
from apps.realtime.listeners import count_by_prefix
from nautilus.counting.counters import OTHER, TOPIC_PREFIXES

HUBS_SECONDS = 1.0
PERCENTILES = (50, 95, 99)

_GAUGES = {
    "active": ("websocket_active", "Sockets that are open"),
    "max": ("websocket_max", "Sockets that a process takes"),
    "stale": ("websocket_stale", "Sockets that read nothing for two heartbeats and are to be closed"),
    "queue_depth": ("websocket_queue_depth", "Messages that wait to be written"),
}
_COUNTERS = {
    "accepted": ("websocket_accepted", "Sockets that were let in"),
    "rejected": ("websocket_rejected", "Sockets refused: no room, or no good credentials"),
    "turned_away": ("websocket_turned_away", "Sockets turned away at the most that a process takes"),
    "refused_origins": ("websocket_refused_origins", "Sockets refused by their Origin"),
    "messages_sent": ("websocket_messages_sent", "Messages written to sockets"),
    "bytes_sent": ("websocket_bytes_sent", "Bytes written to sockets"),
    "dropped": ("websocket_messages_dropped", "Messages that a closed slow socket did not get"),
    "slow_consumers": ("websocket_slow_consumers", "Sockets closed because nothing was read from them in time"),
}


@register_source("sockets")
def sockets() -> Iterator[Metric]:
    reports = ask_hubs("report", timeout_seconds=HUBS_SECONDS)
    yield single("websocket_processes", "Processes that serve sockets and answered", len(reports))
    yield single("websocket_silent_processes", "Processes that serve sockets and did not answer", reports.silent)
    for name, (metric, text) in _GAUGES.items():
        yield gauge(metric, text, ["process"], _rows(reports, name))
    for name, (metric, text) in _COUNTERS.items():
        yield counter(metric, text, ["process"], _rows(reports, name))
    yield from _latency(reports)
    yield from _listeners(reports)


def _rows(reports: Sequence[Mapping[str, Any]], name: str) -> list[tuple[tuple[str], float]]:
    return [((report["process"],), report[name]) for report in reports if name in report]


def _latency(reports: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    """Of all processes' last minute together; absent where no message went out."""
    together = Latencies()
    for report in reports:
        together.merge(Latencies.from_counts(report["latency_counts"]))
    milliseconds = {part: together.percentile(part) for part in PERCENTILES}
    rows = [((part,), None if value is None else value / 1_000) for part, value in milliseconds.items()]
    yield gauge("websocket_latency_seconds", "From publishing to sending, over a minute, to 5 %", ["percentile"], rows)


def _listeners(reports: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    counted: Count[str] = Count()
    for report in reports:
        for prefix, number in count_by_prefix(report["topics"]).items():
            known = prefix.rstrip(":*")
            counted[known if known in TOPIC_PREFIXES else OTHER] += number
    rows = [((prefix,), counted[prefix]) for prefix in (*TOPIC_PREFIXES, OTHER)]
    yield gauge("websocket_listeners", "Subscriptions, by the topic's prefix", ["prefix"], rows)

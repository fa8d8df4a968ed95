"""What the hubs of all processes say of themselves, added up (contract section 9).

Counters count from the start of each process on, of the processes that run now: one that ended takes its own along.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import perf_counter
from typing import Any

from django.conf import settings
from redis import Redis

from apps.realtime.control import Answers
from apps.realtime.latency import Latencies
from apps.realtime.steps import head_key
from apps.realtime.topics import is_pattern

COUNTERS = ("accepted", "rejected", "messages_sent", "bytes_sent", "dropped", "slow_consumers")
LISTED_TOPICS = 500
PINGS = 5
PERCENTILES = (50, 95, 99)

_OF_A_PROCESS = ("process", "hub", "started_at", "uptime_seconds", "active", "max", *COUNTERS, "queue_depth")


# --- Connections --------------------------------------------------------------------------------------
def connection_stats(reports: Answers) -> dict[str, Any]:
    """The contract's `stats`: sums over all processes, and each process by itself."""
    return {
        **{name: _sum(reports, name) for name in ("active", "max", *COUNTERS)},
        "uptime_seconds": max((report["uptime_seconds"] for report in reports), default=0),
        "users": len(sockets_of_users(reports)),
        "silent_processes": reports.silent,
        "processes": sorted(map(process_stats, reports), key=lambda row: row["process"]),
    }


def process_stats(report: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: report[name] for name in _OF_A_PROCESS},
        "messages_per_second": report["messages_per_second"],
        "latency_ms": percentiles(Latencies.from_counts(report["latency_counts"])),
        "topics": len(report["topics"]),
    }


def sockets_of_users(reports: Sequence[Mapping[str, Any]]) -> Counter[str]:
    return _merged(reports, "users")


# --- Topics -------------------------------------------------------------------------------------------
def subscribers_of_topics(reports: Sequence[Mapping[str, Any]], prefix: str = "") -> list[tuple[str, int]]:
    """Topics and patterns that somebody follows and that begin with `prefix`, the most followed first."""
    followed = [item for item in _merged(reports, "topics").items() if item[0].startswith(prefix)]
    return sorted(followed, key=lambda item: (-item[1], item[0]))


def subscriptions(reports: Answers, client: Redis, prefix: str = "") -> dict[str, Any]:
    """The contract's `subscriptions`. Raises RedisError."""
    followed = subscribers_of_topics(reports, prefix)
    listed = dict(followed[:LISTED_TOPICS])
    seqs = last_seqs(list(listed), client)
    return {
        "topics": [{"topic": topic, "subscribers": listed[topic], "last_seq": seqs[topic]} for topic in listed],
        "total": len(followed),
        "silent_processes": reports.silent,
    }


def last_seqs(topics: Sequence[str], client: Redis) -> dict[str, int | None]:
    """Of each topic the seq of its last message; None for a pattern, and where Redis has forgotten the topic."""
    reading = client.pipeline(transaction=False)
    for topic in topics:
        reading.hmget(head_key(topic), "epoch", "seq")
    heads = zip(topics, reading.execute(), strict=True)
    return {topic: None if is_pattern(topic) or epoch is None else int(seq or 0) for topic, (epoch, seq) in heads}


def receivers_of(topic: str, reports: Sequence[Mapping[str, Any]]) -> int:
    """Sockets that follow the topic or a pattern that covers it, whatever their filters let through.

    A socket that follows both is counted twice, and gets the message once.
    """
    return sum(number for name, number in _merged(reports, "topics").items() if _covers(name, topic))


def _covers(name: str, topic: str) -> bool:
    if not is_pattern(name):
        return name == topic
    # As subscriptions.py has it: a broadcast word's pattern never reaches into topics with a rule of their own.
    return topic.startswith(name[:-1]) and (":" in name or ":" not in topic)


# --- Performance --------------------------------------------------------------------------------------
def performance(reports: Answers, client: Redis) -> dict[str, Any]:
    """The contract's `performance`. Raises RedisError."""
    latency_ms, mean_batch = percentiles(_latencies(reports)), _mean_batch(reports)
    return {
        "latency_ms": latency_ms,
        "messages_per_second": round(float(_sum(reports, "messages_per_second")), 3),
        "queue_depth": _sum(reports, "queue_depth"),
        "batching": {**_batch_settings(reports), "mean_batch": mean_batch},
        "redis": redis_figures(client),
        "reasons": _reasons(reports, latency_ms["p50"] is None, mean_batch is None),
        "silent_processes": reports.silent,
    }


def percentiles(latencies: Latencies) -> dict[str, float | None]:
    """From a message's publication to its writing to a socket, in milliseconds; None where nothing was measured."""
    return {f"p{part}": latencies.percentile(part) for part in PERCENTILES}


def redis_figures(client: Redis) -> dict[str, Any]:
    """The median round trip of some PINGs, and the memory that Redis has in use. Raises RedisError."""
    milliseconds = median(1_000 * _seconds_of(client.ping) for _ in range(PINGS))
    memory: Any = client.info("memory")
    return {"latency_ms": round(milliseconds, 3), "used_memory_bytes": int(memory["used_memory"])}


def _seconds_of(call: Callable[[], Any]) -> float:
    began = perf_counter()
    call()
    return perf_counter() - began


def _latencies(reports: Sequence[Mapping[str, Any]]) -> Latencies:
    merged = Latencies.from_counts({})
    for report in reports:
        merged.merge(Latencies.from_counts(report["latency_counts"]))
    return merged


def _mean_batch(reports: Sequence[Mapping[str, Any]]) -> float | None:
    batches = _sum(reports, "batches")
    return round(_sum(reports, "batched_messages") / batches, 2) if batches else None


def _batch_settings(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """As the processes have them, which may have started under other settings than this one."""
    if reports:
        return {name: reports[0][name] for name in ("batch_size", "flush_interval")}
    return {
        "batch_size": settings.WEBSOCKET_BATCH_SIZE,
        "flush_interval": settings.WEBSOCKET_FLUSH_INTERVAL_SECONDS,
    }


def _reasons(reports: Answers, no_latency: bool, no_batch: bool) -> dict[str, str]:
    if not reports:
        nobody = "No process that serves sockets answered."
        return {"latency_ms": nobody, "mean_batch": nobody}
    told = {
        "latency_ms": (no_latency, "No message went to a socket in the last minute."),
        "mean_batch": (no_batch, "No batch yet."),
    }
    return {name: reason for name, (is_missing, reason) in told.items() if is_missing}


# --- Adding up ----------------------------------------------------------------------------------------
def _sum(reports: Sequence[Mapping[str, Any]], name: str) -> Any:
    return sum(report[name] for report in reports)


def _merged(reports: Sequence[Mapping[str, Any]], name: str) -> Counter[str]:
    merged: Counter[str] = Counter()
    for report in reports:
        merged.update(report[name])
    return merged

"""How all engines do together, from what each of them wrote in Redis."""

from typing import Any

from redis import Redis

from apps.analytics.streaming.leases import RESTARTS_KEY, SHARDS
from apps.analytics.streaming.messages import time_text
from apps.analytics.streaming.statistics import percentile_ms, read_statistics
from apps.portfolios.feed import Freshness, feed_status
from apps.portfolios.quotes import US
from apps.realtime.listeners import count_listeners
from nautilus.api.errors import UnavailableError

STREAMING, STALLED, STOPPED = "streaming", "stalled", "stopped"
TOPICS = ("analytics:updates:", "portfolio:updates:")
# An engine writes each second: one that is silent for so long lags, and after the second time it is gone.
LAGS_SECONDS = 3.0
GONE_SECONDS = 10.0

REMEDY = "Start one: `python manage.py run_analytics_engine`; `make run` and docker compose run it as analytics-engine."


class NoEngineError(UnavailableError):
    code = "no_streaming_engine"


def streaming_status(client: Redis) -> dict[str, Any]:
    """Contract section 7, `streaming/status`. Raises RedisError."""
    now_us, written = read_statistics(client)
    engines = [_engine(name, one, now_us) for name, one in sorted(written.items())]
    engines = [engine for engine in engines if engine["silent_seconds"] < GONE_SECONDS]
    lags = [written[engine["engine"]]["lags"] for engine in engines]
    status, reason = _judged(engines, client)
    updates = [engine["last_update_at"] for engine in engines if engine["last_update_at"]]
    return {
        "status": status,
        "reason": reason,
        "portfolios": sum(engine["portfolios"] for engine in engines),
        "updates_per_second": sum(engine["updates_per_second"] for engine in engines),
        "last_update_at": max(updates, default=None),
        "lag_ms": {"p50": percentile_ms(lags, 50), "p99": percentile_ms(lags, 99)},
        "subscribers": sum(count_listeners(TOPICS, client).values()),
        "engines": engines,
    }


def ask_for_restart(client: Redis) -> dict[str, Any]:
    """Engines look at the counter twice a second."""
    status = streaming_status(client)
    if status["status"] == STOPPED:
        raise NoEngineError("No streaming engine runs, so that none can be restarted.", REMEDY)
    client.incr(RESTARTS_KEY)
    return status


def _engine(name: str, written: dict[str, Any], now_us: int) -> dict[str, Any]:
    names = ("portfolios", "shards", "updates", "updates_per_second", "step_ms", "fenced")
    return {
        "engine": name,
        **{each: written[each] for each in names},
        "lag_ms": {"p50": percentile_ms([written["lags"]], 50), "p99": percentile_ms([written["lags"]], 99)},
        "started_at": _time(written["started_us"]),
        "last_update_at": _time(written["last_update_us"]),
        "books_as_of": _time(written["books_as_of_us"]),
        "reason": written["not_live"] or written["books_failure"] or None,
        "silent_seconds": max(0, now_us - written["at_us"]) / US,
    }


def _time(us: int | None) -> str | None:
    return time_text(us) if us else None


def _judged(engines: list[dict[str, Any]], client: Redis) -> tuple[str, str | None]:
    if not engines:
        return STOPPED, f"No streaming engine runs. {REMEDY}"
    for engine in engines:
        if engine["silent_seconds"] > LAGS_SECONDS:
            return STALLED, f"{engine['engine']} has not come round for {engine['silent_seconds']:.1f} s."
    if any(engine["books_as_of"] is None for engine in engines):
        failures = [engine["reason"] for engine in engines if engine["reason"]]
        return STALLED, f"The books have not been read yet. {' '.join(failures)}".strip()
    feed = feed_status(client)
    if feed.status != Freshness.LIVE:
        return STALLED, feed.reason
    return _judged_by_engines(engines)


def _judged_by_engines(engines: list[dict[str, Any]]) -> tuple[str, str | None]:
    shards = sum(engine["shards"] for engine in engines)
    if shards < SHARDS:
        return STALLED, f"{SHARDS - shards} of {SHARDS} shards have no engine at this moment."
    reasons = [engine["reason"] for engine in engines if engine["reason"]]
    return (STALLED, reasons[0]) if reasons else (STREAMING, None)

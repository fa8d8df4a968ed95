"""Live prices, and the engines that make live figures of them."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from prometheus_client import Metric

from apps.analytics.streaming.leases import SHARDS
from apps.analytics.streaming.statistics import percentile_ms, read_statistics
from apps.analytics.streaming.status import GONE_SECONDS
from apps.operations.metrics.families import counter, gauge, single
from apps.operations.metrics.sources.registry import register_source
from apps.portfolios.quotes import US, feed_counters
from nautilus.connections import redis_client

PERCENTILES = (50, 99)


@register_source("market")
def market() -> Iterator[Metric]:
    client = redis_client()
    feed = feed_counters(client)
    lag_seconds = None if feed.newest_us is None else max(feed.now_us - feed.newest_us, 0) / US
    yield single("feed_lag_seconds", "Since the newest quote's moment; absent where none has come", lag_seconds)
    yield single("feed_stale_after_seconds", "NAUTILUS_FEED_STALE_SECONDS", settings.FEED_STALE_SECONDS)
    yield single("feed_updates_per_second", "Quotes taken a second, over five", feed.updates_per_second)
    yield single("feed_symbols", "Symbols with a live price", feed.symbols)
    now_us, written = read_statistics(client)
    silent = {name: max(now_us - one["at_us"], 0) / US for name, one in written.items()}
    yield from _engines({name: one for name, one in written.items() if silent[name] < GONE_SECONDS}, silent)


def _engines(living: dict[str, Any], silent: dict[str, float]) -> Iterator[Metric]:
    yield single("streaming_engines", "Engines that live", len(living))
    yield single("streaming_portfolios", "Books that they follow", sum(one["portfolios"] for one in living.values()))
    yield single(
        "streaming_shards", "Shares of the books that have an engine", sum(one["shards"] for one in living.values())
    )
    yield single("streaming_shards_wanted", "Shares that the books are divided into", SHARDS)
    rate = sum(one["updates_per_second"] for one in living.values())
    yield single("streaming_updates_per_second", "Figures published a second", rate)
    silences = [((name,), silent[name]) for name in sorted(living)]
    yield gauge("streaming_silent_seconds", "Since an engine came round last", ["engine"], silences)
    updates = [((name,), one["updates"]) for name, one in sorted(living.items())]
    yield counter("streaming_updates", "Figures that an engine published since its start", ["engine"], updates)
    lags = [one["lags"] for one in living.values()]
    percentiles = [((part,), _seconds(percentile_ms(lags, part))) for part in PERCENTILES]
    yield gauge(
        "streaming_lag_seconds", "From a quote to the figures it moved, over a minute", ["percentile"], percentiles
    )


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1_000

"""A desk that is streamed, for tests: quotes, an engine that is driven step by step, and what it published."""

from datetime import UTC, datetime, timedelta
from typing import Any

from apps.analytics.real_time_engine import RealTimeAnalyticsEngine
from apps.analytics.streaming.leases import SHARDS
from apps.portfolios.quotes import accept_quotes
from apps.risk.tests.monitored import published
from nautilus.connections import redis_client

PATTERNS = ("streaming:*", "market:quotes*", "topics:*updates:*", "topics:hubs", "topics:listeners:*")


def forget_streams() -> None:
    """Redis is not rolled back after a test."""
    for pattern in PATTERNS:
        for key in redis_client().scan_iter(pattern, count=1_000):
            redis_client().delete(key)


def now_us(seconds_ago: float = 0.0) -> int:
    second, microsecond = redis_client().time()
    return second * 1_000_000 + microsecond - int(seconds_ago * 1e6)


def us_of(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def quote(seconds_ago: float = 0.0, source: str = "test", **prices: float) -> int:
    """Quotes of this moment, or of some seconds ago; their timestamp."""
    at_us = now_us(seconds_ago)
    accept_quotes(list(prices), list(prices.values()), [at_us] * len(prices), source)
    return at_us


def engine_with_books() -> RealTimeAnalyticsEngine:
    engine = RealTimeAnalyticsEngine()
    engine.reader.read()
    return engine


def running_engine() -> RealTimeAnalyticsEngine:
    """One that has all shards and has said how its books are."""
    engine = engine_with_books()
    engine.step()
    assert len(engine.tenure.leases) == SHARDS
    return engine


def updates(portfolio_id: str) -> list[dict[str, Any]]:
    """All that was published on the analytics topic, oldest first."""
    return published(f"analytics:updates:{portfolio_id}")


def latest(portfolio_id: str) -> dict[str, Any]:
    return updates(portfolio_id)[-1]

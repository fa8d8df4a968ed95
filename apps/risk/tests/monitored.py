"""A desk under the monitor, for tests: runs of a process that remembers nothing, and what they left behind."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.test import override_settings

from apps.portfolios.tests.factories import make_prices, trading_days
from apps.realtime.topics import OUTGOING, stream_key
from apps.risk.models import RiskEvent, RiskLimit
from apps.risk.monitor.memory import Memory
from apps.risk.monitor.run import run_monitor
from apps.risk.monitoring import FLAG
from nautilus.connections import redis_client

DESK_DAYS = 30


def forget_flag() -> None:
    """Redis is not rolled back after a test."""
    redis_client().delete(FLAG)


@contextmanager
def redis_away(*, keep: bool = False) -> Iterator[None]:
    """Nothing listens on this port. What waits for Redis meanwhile is forgotten, or comes out in the tests to come."""
    try:
        with override_settings(REDIS_URL="redis://127.0.0.1:1/0"):
            redis_client.cache_clear()
            yield
            if not keep:
                OUTGOING.discard()
    finally:
        redis_client.cache_clear()


def look(memory: Memory | None = None) -> str:
    return run_monitor(memory or Memory())


def move_prices(day: int, **closes: float) -> None:
    """Closes on the desk's `day`-th day after its last: 1 is the first."""
    start = trading_days(DESK_DAYS + day)[-1]
    make_prices({symbol: [close] for symbol, close in closes.items()}, start=start)


def state_of(limit: RiskLimit) -> tuple[str, float | None, str]:
    limit.refresh_from_db()
    return limit.status, limit.current_value, limit.status_reason


def told(**of: Any) -> list[str]:
    """The types of events, oldest first."""
    return list(RiskEvent.objects.filter(**of).order_by("id").values_list("event_type", flat=True))


def published(topic: str) -> list[dict[str, Any]]:
    entries: Any = redis_client().xrange(stream_key(topic))
    return [json.loads(next(iter(fields.values())))["data"] for _, fields in entries]

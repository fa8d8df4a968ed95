"""Live figures: whether the engines publish what the live prices make of the books."""

from typing import Any

from django.conf import settings

from apps.analytics.streaming.status import STOPPED, STREAMING, streaming_status
from apps.operations.checks.registry import register_check
from apps.operations.findings import Finding, Health, Status
from apps.portfolios.feed import Freshness, feed_status
from nautilus.connections import redis_client

RESTART = "scripts/restart-service.sh analytics-engine"


@register_check("analytics_streaming")
def check_analytics_streaming() -> Health:
    client = redis_client()
    client.ping()  # feed_status takes a Redis that is away for a feed that has stopped
    status, feed = streaming_status(client), feed_status(client)
    if status["status"] == STREAMING:
        return Health(_detail(status))
    if feed.status == Freshness.STOPPED and not settings.FEED_EXPECTED:
        return Health(f"{_detail(status)}; no live price is expected, so that there is nothing to stream")
    return Health(_detail(status), (_static(status, feed.status),))


def _detail(status: dict[str, Any]) -> str:
    told = f"{status['status']}: {len(status['engines'])} engines, {status['portfolios']} portfolios"
    return f"{told}, {status['updates_per_second']:.1f} updates/s, last update {status['last_update_at'] or 'never'}"


def _static(status: dict[str, Any], feed: str) -> Finding:
    by_feed = status["status"] != STOPPED and feed != Freshness.LIVE
    return Finding(
        Status.UNHEALTHY if settings.FEED_EXPECTED or feed == Freshness.LIVE else Status.DEGRADED,
        "The live figures stand still",
        status["reason"] or "The engines give no reason.",
        "scripts/restart-service.sh market-feed" if by_feed else RESTART,
        "analytics-dashboard-static",
    )

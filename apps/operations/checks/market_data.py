"""Live prices: whether they come. Without a live feed the imported closes are what there is."""

from django.conf import settings

from apps.operations.checks.registry import register_check
from apps.operations.findings import Finding, Health, Status
from apps.portfolios.feed import FeedStatus, Freshness, feed_status
from nautilus.connections import redis_client

RESTART = "scripts/restart-service.sh market-feed"


@register_check("market_data")
def check_market_data() -> Health:
    client = redis_client()
    client.ping()  # feed_status takes a Redis that is away for a feed that has stopped
    feed = feed_status(client)
    if feed.status == Freshness.LIVE:
        return Health(_detail(feed))
    if feed.status == Freshness.STOPPED and not settings.FEED_EXPECTED:
        return Health("no live quote has come, and none is expected: prices are the imported closes")
    return Health(_detail(feed), (_stopped(feed),))


def _detail(feed: FeedStatus) -> str:
    if feed.lag_seconds is None:
        return "no live quote is known"
    told = f"{feed.symbols} symbols from {feed.source}, the newest quote {feed.lag_seconds:.1f} s old"
    return f"{told}, {feed.updates_per_second:.1f} updates/s, {feed.stale_symbols} symbols stale"


def _stopped(feed: FeedStatus) -> Finding:
    """Unhealthy where the desk counts on live prices; else it is told, as a feed that came once and stopped."""
    return Finding(
        Status.UNHEALTHY if settings.FEED_EXPECTED else Status.DEGRADED,
        "The price feed has stopped",
        feed.reason or "No quote comes in.",
        RESTART,
        "market-data-stopped",
    )

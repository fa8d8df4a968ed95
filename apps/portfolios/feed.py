"""How fresh the live prices are. Nothing stale looks fresh: where it cannot be known, the feed is `stopped`."""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef
from django.utils import timezone
from redis import Redis
from redis.exceptions import RedisError

from apps.portfolios.models import DailyPrice, Instrument, PriceVersion
from apps.portfolios.quotes import US, FeedCounters, Quotes, feed_counters, latest_quotes

logger = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Freshness(models.TextChoices):
    LIVE = "live", "live: the newest quote is younger than NAUTILUS_FEED_STALE_SECONDS"
    STALE = "stale", "stale: there are quotes, all of them older"
    STOPPED = "stopped", "stopped: no quote is known"


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """`last_update` is the moment that the newest quote is of: its timestamp, at most when it came.

    `stale_symbols` counts those whose newest quote is older than the limit, in a live feed too. `reason` says why
    the feed is not live.
    """

    status: Freshness
    reason: str | None
    source: str | None
    symbols: int
    stale_symbols: int
    last_update: datetime | None
    lag_seconds: float | None
    updates_per_second: float


@dataclass(frozen=True, slots=True)
class FeedState:
    """The feed, and where it is stopped the imported closes in its place: their source, symbols and age."""

    feed: FeedStatus
    price_version: int


def feed_status(client: Redis | None = None, quotes: Quotes | None = None) -> FeedStatus:
    """By Redis alone, and its clock; `quotes` saves the reading of them where the caller has just done so."""
    try:
        counters = feed_counters(client)
        quotes = quotes or latest_quotes(client)
    except (RedisError, OSError) as error:
        logger.warning("The feed's status is not known: Redis did not answer: %s", error)
        return _stopped("Redis cannot be reached, so no live price is known.")
    if not counters.symbols or counters.newest_us is None or counters.received_us is None:
        return _stopped("No quote has come yet.")
    return _status_of(counters, counters.newest_us, _stale_symbols(quotes, counters.now_us))


def feed_state() -> FeedState:
    newest, feed = PriceVersion.objects.first(), feed_status()
    if newest and feed.status == Freshness.STOPPED:
        feed = replace(
            feed,
            source=newest.source,
            symbols=_priced_symbols(),
            last_update=newest.created_at,
            lag_seconds=(timezone.now() - newest.created_at).total_seconds(),
        )
    return FeedState(feed, newest.id if newest else 0)


def _status_of(counters: FeedCounters, newest_us: int, stale_symbols: int) -> FeedStatus:
    lag_seconds = max(counters.now_us - newest_us, 0) / US
    is_live = lag_seconds <= settings.FEED_STALE_SECONDS
    return FeedStatus(
        status=Freshness.LIVE if is_live else Freshness.STALE,
        reason=None if is_live else _why_stale(counters, lag_seconds),
        source=counters.source,
        symbols=counters.symbols,
        stale_symbols=stale_symbols,
        last_update=_EPOCH + timedelta(microseconds=newest_us),
        lag_seconds=lag_seconds,
        updates_per_second=counters.updates_per_second,
    )


def _why_stale(counters: FeedCounters, lag_seconds: float) -> str:
    silent_seconds = (counters.now_us - (counters.received_us or 0)) / US
    if silent_seconds <= settings.FEED_STALE_SECONDS:
        return f"Quotes come in, but the newest of them is {lag_seconds:.1f} s old."
    limit = f"more than {settings.FEED_STALE_SECONDS:g} s are stale"
    return f"No quote has come for {silent_seconds:.1f} s that is newer than those known; {limit}."


def _stale_symbols(quotes: Quotes, now_us: int) -> int:
    return int(np.count_nonzero(now_us - quotes.seen_us() > settings.FEED_STALE_SECONDS * US))


def _stopped(reason: str) -> FeedStatus:
    return FeedStatus(Freshness.STOPPED, reason, None, 0, 0, None, None, 0.0)


def _priced_symbols() -> int:
    return Instrument.objects.filter(Exists(DailyPrice.objects.filter(instrument=OuterRef("pk")))).count()

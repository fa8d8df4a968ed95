"""Runs a feed: under its lease, through outages of Redis, until it ends or is told to stop."""

import logging
import time
from dataclasses import dataclass, field
from threading import Event

from redis import Redis
from redis.exceptions import RedisError

from apps.portfolios.feeds.lease import FeedLease
from apps.portfolios.feeds.registry import QuoteFeed
from apps.portfolios.quotes import Accepted, BadQuotesError, QuoteBatch, accept_quotes, checked_quotes
from nautilus.connections import redis_client

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class FeedRun:
    """What became of a feed's quotes: `refused` were none, `replaced` made way for newer ones during an outage."""

    accepted: int = 0
    older: int = 0
    refused: int = 0
    replaced: int = 0


def run_feed(feed: QuoteFeed, stop: Event, client: Redis | None = None) -> FeedRun:
    """Plays the feed to its end, or until `stop` is set. Waits where another process plays one of its name."""
    client = client or redis_client()
    sender, lease = _Sender(client), FeedLease(feed.name, client)
    while lease.wait(stop):
        with lease:
            has_ended = _played(feed, stop, lease, sender)
            if has_ended:
                sender.drain(stop)
        if has_ended:
            break
        if not stop.is_set():
            logger.warning("The feed '%s' lost its lease and waits for it again", feed.name)
    logger.info("The feed '%s' has stopped: %s", feed.name, sender.run)
    return sender.run


def _played(feed: QuoteFeed, stop: Event, lease: FeedLease, sender: "_Sender") -> bool:
    """Whether the feed has ended by itself."""
    source = ""
    for batch in feed.batches(stop):
        if stop.is_set() or lease.lost:
            return False
        if feed.source != source:
            source = feed.source
            logger.info("The feed '%s' plays: %s", feed.name, source)
        sender.send(batch, source)
    return not stop.is_set()


@dataclass(slots=True)
class _Sender:
    """Sends batches. During an outage it keeps the newest quote of each symbol alone: no backlog, and none is lost."""

    client: Redis
    run: FeedRun = field(default_factory=FeedRun)
    _kept: dict[str, tuple[float, int]] = field(default_factory=dict)
    _source: str = ""
    _away_since: float | None = None
    _next_try: float = 0.0
    _pause_seconds: float = FIRST_PAUSE_SECONDS

    def send(self, batch: QuoteBatch, source: str) -> None:
        self._source = source
        if self._away_since is None:
            self._try(batch, source)
            return
        self._keep_checked(batch, source)
        if time.monotonic() >= self._next_try:
            self._try(self._kept_batch(), source)

    def drain(self, stop: Event) -> None:
        """Sends what is kept back by a feed that has ended, once Redis is back."""
        while self._away_since is not None and not stop.wait(max(self._next_try - time.monotonic(), 0.0)):
            self._try(self._kept_batch(), self._source)

    def _try(self, batch: QuoteBatch, source: str) -> None:
        try:
            self._count(accept_quotes(batch.symbols, batch.prices, batch.timestamps_us, source, self.client))
        except BadQuotesError as error:
            self._refuse(batch, source, error)
        except (RedisError, OSError) as error:
            self._go_away(batch, error)
            return
        self._come_back()

    def _refuse(self, batch: QuoteBatch, source: str, error: BadQuotesError) -> None:
        self.run.refused += len(batch.symbols)
        logger.warning("%d quotes of %s were not taken: %s", len(batch.symbols), source, error)

    def _count(self, accepted: Accepted) -> None:
        self.run.accepted += accepted.accepted
        self.run.older += accepted.older

    def _go_away(self, batch: QuoteBatch, error: Exception) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
            self._keep(batch)
            logger.warning("Quotes are kept back, the newest of each symbol: Redis did not answer: %s", error)
        self._next_try = time.monotonic() + self._pause_seconds
        self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def _come_back(self) -> None:
        if self._away_since is not None:
            logger.info("Redis answers again after %.1f s", time.monotonic() - self._away_since)
            self._away_since, self._pause_seconds = None, FIRST_PAUSE_SECONDS
            self._kept.clear()

    def _keep_checked(self, batch: QuoteBatch, source: str) -> None:
        """One that would be refused must not stand in the way of those that are kept already."""
        try:
            checked_quotes(batch.symbols, batch.prices, batch.timestamps_us)
        except BadQuotesError as error:
            self._refuse(batch, source, error)
        else:
            self._keep(batch)

    def _keep(self, batch: QuoteBatch) -> None:
        for symbol, price, timestamp in zip(batch.symbols, batch.prices, batch.timestamps_us, strict=True):
            kept = self._kept.get(symbol)
            self.run.replaced += kept is not None
            if kept is None or timestamp > kept[1]:
                self._kept[symbol] = (float(price), int(timestamp))

    def _kept_batch(self) -> QuoteBatch:
        prices, timestamps = zip(*self._kept.values(), strict=True)
        return QuoteBatch(list(self._kept), prices, timestamps)

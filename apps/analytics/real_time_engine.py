"""The streaming engine: from quotes to the live figures of all books, four times a second (docs/streaming.md).

    python manage.py run_analytics_engine

Any number of them share the portfolios. One that dies is replaced by the others within three seconds.
"""

import logging
import threading
import time
from typing import Any

import numpy as np
from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from apps.analytics.kernels.live import BoolArray
from apps.analytics.streaming.known_quotes import KnownQuotes
from apps.analytics.streaming.leases import RENEW_SECONDS, SHARDS, new_engine_id
from apps.analytics.streaming.messages import Circumstances, time_text
from apps.analytics.streaming.publishing import Publisher
from apps.analytics.streaming.reading import Reader
from apps.analytics.streaming.standing import Standing
from apps.analytics.streaming.statistics import Statistics, forget_statistics, write_statistics
from apps.analytics.streaming.status import ask_for_restart, streaming_status
from apps.analytics.streaming.tenure import Tenure
from apps.portfolios.feed import feed_status
from apps.portfolios.quotes import US, FeedCounters, feed_counters, latest_quotes
from nautilus.connections import impatient_redis_client, redis_client

# Books that were not read for so long are not fresh.
BOOKS_STALE_SECONDS = 5.0
STATISTICS_SECONDS = 1.0

_NONE_READ = -1

logger = logging.getLogger(__name__)


class RealTimeAnalyticsEngine:
    """One engine. `start` runs it until `stop`; `restart` and `status` concern all engines, wherever they run."""

    def __init__(self, client: Redis | None = None) -> None:
        self.engine_id = new_engine_id()
        self.reader = Reader()
        self.standing = Standing()
        self.statistics = Statistics()
        self.known = KnownQuotes()
        self._client = client or redis_client()
        self.tenure = Tenure(self.engine_id, self._client)
        self._publisher = Publisher(self.tenure, client or impatient_redis_client(), self.now_us, self._keep_leases)
        self._stopped = threading.Event()
        self._clock_offset_us = 0
        self._quotes_version = _NONE_READ
        self._restarts: int | None = None
        self._feed_reason: str | None = "no look at the feed yet"
        self._not_live = ""
        self._renewed = self._counted = 0.0
        self._redis_failure = self._stumbled = ""

    # --- From outside ---------------------------------------------------------------------------------
    def start(self) -> None:
        """Runs until `stop` is called, from a signal or another thread."""
        logger.info("%s: every %d ms, %d shards", self.engine_id, settings.STREAM_INTERVAL_MS, SHARDS)
        self.reader.start()
        try:
            while not self._stopped.is_set():
                begun = time.monotonic()
                self.step()
                self._stopped.wait(max(0.0, begun + settings.STREAM_INTERVAL_MS / 1e3 - time.monotonic()))
        finally:
            self.leave()

    def stop(self) -> None:
        self._stopped.set()

    def restart(self) -> dict[str, Any]:
        """Has every engine read its books anew and take its leases anew, within a second; and how they do.

        Raises NoEngineError where none runs, RedisError where they cannot be told.
        """
        return ask_for_restart(self._client)

    def status(self) -> dict[str, Any]:
        """How all engines do together. Raises RedisError where it cannot be known."""
        return streaming_status(self._client)

    # --- One step -------------------------------------------------------------------------------------
    def step(self) -> None:
        """Whatever fails in it, the next one begins where this one left off."""
        begun = time.perf_counter()
        try:
            published = self._step()
            self._say_redis_failure("")
            if published:
                self.statistics.count_step((time.perf_counter() - begun) * 1e3)
            self._write_statistics()
        except (RedisError, OSError) as error:
            self.tenure.interrupt("Redis did not answer")
            self._renewed = 0.0
            self._say_redis_failure(f"Redis does not answer: {error}")
        except Exception as error:
            if repr(error) != self._stumbled:
                logger.exception("%s stumbled and goes on", self.engine_id)
            self._stumbled = repr(error)

    def _step(self) -> int:
        self.standing.take(self.reader.desk)
        if self.reader.desk is None:
            self._tell_time(feed_counters(self._client))
            return 0
        self._keep_leases()
        counters = feed_counters(self._client)
        self._tell_time(counters)
        self._read_quotes(counters)
        around = self._circumstances(counters)
        for part in self.standing.parts:
            part.touch_changed(self.known)
        changed = np.flatnonzero(self.known.changed)
        self.known.settle()  # what they touched is pending now, whatever becomes of this step
        published = self._publish(around)
        if published:
            self.statistics.count_updates(published, self.now_us())
            self.statistics.count_lags(self.now_us() - self.known.received_us[changed])
        return published

    def _publish(self, around: Circumstances) -> int:
        leases, fenced = dict(self.tenure.leases), self._publisher.fenced
        owned, published = self._owned(), 0
        for part in self.standing.parts:
            rows = part.due(owned)
            if len(rows):
                published += self._publisher.publish(part, rows, self.known, around, leases)
        if lost := self._publisher.fenced - fenced:
            logger.warning("%s stood still and lost %d leases: nothing of these was published", self.engine_id, lost)
        return published

    def _owned(self) -> BoolArray:
        owned = np.zeros(SHARDS, np.bool_)
        owned[list(self.tenure.leases)] = True
        return owned

    # --- Leases ---------------------------------------------------------------------------------------
    def _keep_leases(self) -> None:
        """Twice a second; each step while it has less than its share."""
        kept = self.tenure.kept
        is_short = kept is None or len(self.tenure.leases) < kept.share
        if not is_short and time.monotonic() - self._renewed < RENEW_SECONDS:
            return
        self.standing.touch_shards(self.tenure.keep())
        self._renewed = time.monotonic()
        self._obey_restart()

    def _obey_restart(self) -> None:
        assert self.tenure.kept is not None
        asked, self._restarts = self.tenure.kept.restarts, self._restarts
        if self._restarts is not None and asked > self._restarts:
            logger.info("%s begins anew, as it was told to", self.engine_id)
            self.reader.begin_anew()
            self.tenure.let_go("was restarted")
            self.standing.touch_shards(self.tenure.keep())
            self.statistics = Statistics()
        self._restarts = asked

    # --- What is true now -----------------------------------------------------------------------------
    def now_us(self) -> int:
        """Redis's clock, as it was read last and has gone on since."""
        return time.monotonic_ns() // 1_000 + self._clock_offset_us

    def _tell_time(self, counters: FeedCounters) -> None:
        self._clock_offset_us = counters.now_us - time.monotonic_ns() // 1_000

    def _read_quotes(self, counters: FeedCounters) -> None:
        if counters.version == self._quotes_version:
            return
        self.known.take(latest_quotes(self._client))
        if self._quotes_version == _NONE_READ:
            self.known.settle()  # they came before this engine did: no lag of its own, and all books are due anyway
        self._quotes_version = counters.version

    def _circumstances(self, counters: FeedCounters) -> Circumstances:
        not_live = " ".join(filter(None, (self._judge_feed(counters), self._judge_books())))
        if bool(not_live) != bool(self._not_live):
            self.standing.touch_all()
            logger.info("%s: figures are %s", self.engine_id, f"stale: {not_live}" if not_live else "live")
        self._not_live = not_live
        return Circumstances(
            now_us=counters.now_us,
            stale_after_us=int(settings.FEED_STALE_SECONDS * US),
            source=counters.source,
            books_as_of=time_text(self._books_as_of_us()),
            not_live=not_live,
        )

    def _judge_feed(self, counters: FeedCounters) -> str:
        """Why the feed is not live, in the words of the moment at which that was seen; empty where it is."""
        newest_us = counters.newest_us
        if newest_us is not None and counters.now_us - newest_us <= settings.FEED_STALE_SECONDS * US:
            self._feed_reason = None
        elif self._feed_reason is None or not self._not_live:
            self._feed_reason = feed_status(self._client).reason
        return self._feed_reason or ""

    def _judge_books(self) -> str:
        as_of_us = self._books_as_of_us()
        if self.now_us() - as_of_us <= BOOKS_STALE_SECONDS * US:
            return ""
        why = self.reader.failure or "they are still being read"
        return f"The books are as of {time_text(as_of_us)}: {why}"

    def _books_as_of_us(self) -> int:
        """By Redis's clock, as all that an engine says: the clocks of two machines may differ."""
        assert self.reader.read_at is not None
        return int(self.reader.read_at * US) + self._clock_offset_us

    # --- The rest -------------------------------------------------------------------------------------
    def _write_statistics(self) -> None:
        if time.monotonic() - self._counted < STATISTICS_SECONDS:
            return
        self._counted = time.monotonic()
        self.statistics.fenced = self._publisher.fenced
        summary = {
            **self.statistics.summary(),
            "at_us": self.now_us(),
            "portfolios": self.standing.count(self._owned()),
            "shards": len(self.tenure.leases),
            "not_live": self._not_live,
            "books_as_of_us": self._books_as_of_us() if self.reader.desk else None,
            "books_failure": self.reader.failure,
        }
        write_statistics(self.engine_id, summary, self._client)

    def _say_redis_failure(self, failure: str) -> None:
        if bool(failure) != bool(self._redis_failure):
            logger.warning("%s: %s", self.engine_id, failure or "Redis answers again")
        self._redis_failure = failure

    def leave(self) -> None:
        """Gives its leases back, so that the others take them at once."""
        self.reader.stop()
        try:
            self.tenure.let_go("stopped")
            forget_statistics(self.engine_id, self._client)
        except (RedisError, OSError) as error:
            logger.warning("%s could not give its leases back: %s", self.engine_id, error)
        logger.info("%s has stopped after %d updates", self.engine_id, self.statistics.updates)

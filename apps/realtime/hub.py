"""One hub per process: one Redis subscription, and a plain loop over the sockets that listen (design.md, decision 2).

The text that came from Redis goes out as it is; nothing is decoded per socket, and no task is switched to.
"""

import asyncio
import logging
import re
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from django.conf import settings
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from apps.realtime.connections import SERVICE_RESTART, Connections
from apps.realtime.control import HUBS_CHANNEL
from apps.realtime.history import History, SharedReads, begin_anew, read_history
from apps.realtime.link import LAST_RETRY_SECONDS, RedisLink
from apps.realtime.protocol import Subscribe
from apps.realtime.regular import Regular
from apps.realtime.reporting import Reporter
from apps.realtime.standing import TURN_SECONDS, Standing
from apps.realtime.subscriptions import PatternSubscription, Subscription, TopicSubscription
from apps.realtime.topics import is_pattern, parse_message
from nautilus.following import async_redis_from_url
from nautilus.logs.ids import bound_ids

PATIENCE_SECONDS = 5.0
LOST = '{"type":"lost"}'  # what publish.lua says on a topic of which messages were dropped

logger = logging.getLogger(__name__)


class HubUnavailableError(Exception):
    """Redis does not answer; the client may try again."""


class Feed:
    """A topic or pattern with at least one listener in this process."""

    def __init__(self) -> None:
        # In the order in which they came: a set would write to the sockets in a new order with each growth.
        self.listeners: dict[Subscription, None] = {}
        self.confirmed = asyncio.Event()
        self.confirmations = 0


class Hub:
    def __init__(self, redis_url: str) -> None:
        self._redis = _client(redis_url)
        self.connections = Connections()
        self._feeds: dict[str, Feed] = {}
        self._listens = asyncio.Event()
        self._lost_at: float | None = None
        self._link = RedisLink(_client(redis_url), HUBS_CHANNEL, self._feeds.keys, self._handle, self._unconfirm)
        self._reads = SharedReads(lambda topic, after: read_history(self._redis, topic, after))
        self._reporter = Reporter(self, self._redis)
        standing = Standing(self.connections, self.unsubscribe)
        self._regular = Regular(
            (
                *self._reporter.turns(),
                (TURN_SECONDS, standing.look_again),
                (settings.WEBSOCKET_HEARTBEAT_SECONDS, self._clean_up),
            )
        )
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Listens to Redis and answers commands, from now on."""
        self._link.ensure()
        self._regular.ensure()

    async def restart(self) -> int:
        """Closes all sockets, whose clients come back with since, and begins anew; answers with how many they were.

        Returns when Redis has confirmed that it listens again, or has not for PATIENCE_SECONDS.
        """
        closed = self.connections.end_all(SERVICE_RESTART, "the hub starts anew; come back with since")
        self._link.begin_anew()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._listens.wait()
        return closed

    async def close(self) -> None:
        running = list(self._tasks)
        for task in running:
            task.cancel()
        self._reads.close()
        await asyncio.gather(self._link.close(), self._regular.close(), *running, return_exceptions=True)
        await self._redis.aclose()

    def topics(self) -> dict[str, int]:
        """How many listen to each topic and pattern."""
        return {_name(channel): len(feed.listeners) for channel, feed in self._feeds.items()}

    async def _clean_up(self) -> None:
        if closed := self.connections.end_stale():
            logger.info("%d sockets took nothing for two heartbeats and were closed", closed)

    # --- Starting a subscription ----------------------------------------------------------------------
    async def subscribe(self, subscription: Subscription, request: Subscribe) -> None:
        """Answers the request and brings its subscription live; raises HubUnavailableError."""
        try:
            feed = await self._attach(subscription)
            await self._begin(subscription, request, feed)
        except (RedisError, OSError) as error:
            await self.unsubscribe(subscription)
            raise HubUnavailableError(str(error)) from error

    async def unsubscribe(self, subscription: Subscription) -> None:
        subscription.close()
        name = _channel(subscription.name)
        feed = self._feeds.get(name)
        if feed is None:
            return
        feed.listeners.pop(subscription, None)
        if not feed.listeners:
            del self._feeds[name]
            await self._link.remove(name)

    async def _attach(self, subscription: Subscription) -> Feed:
        name = _channel(subscription.name)
        is_new = name not in self._feeds
        feed = self._feeds.setdefault(name, Feed())
        feed.listeners[subscription] = None
        self.start()
        if is_new:
            await self._link.add(name)
        async with asyncio.timeout(self._patience_seconds()):
            await feed.confirmed.wait()
        return feed

    def _patience_seconds(self) -> float:
        """For an outage and not for each request: while a socket waits for its answer, its pongs lie unread."""
        if self._lost_at is None:
            return PATIENCE_SECONDS
        return max(self._lost_at + PATIENCE_SECONDS - asyncio.get_running_loop().time(), 0.05)

    async def _begin(self, subscription: Subscription, request: Subscribe, feed: Feed) -> None:
        if isinstance(subscription, PatternSubscription):
            subscription.begin(request.request_id)
            return
        confirmations = feed.confirmations
        async with subscription.reading:
            history = await self._reads.read(subscription.name, request.since)
            await subscription.begin(history, request)
            await self._try_to_go_live(subscription)
        if feed.confirmations != confirmations:  # Redis was away since the history was read, or confirmed another's
            self._catch_up_soon(subscription)

    async def _try_to_go_live(self, subscription: TopicSubscription) -> None:
        try:
            await self._go_live(subscription)
        except (RedisError, OSError):  # the request was answered; what is missing comes later
            self._catch_up_soon(subscription)

    async def _go_live(self, subscription: TopicSubscription) -> None:
        while not await subscription.settle():
            await subscription.resume(await self._missed_by(subscription))

    async def _missed_by(self, subscription: TopicSubscription) -> History:
        """What lies between the subscription and now; all that there is where the history is another one."""
        # One more than was missed: whether the last message is still the one that went out.
        history = await self._reads.read(subscription.name, max(subscription.seq - 1, 0))
        if history.contradicts(subscription.last):
            logger.error("Topic '%s': Redis lost messages that had gone out; a new epoch begins", subscription.name)
            await begin_anew(self._redis, subscription.name, history.epoch)
        elif history.continues(subscription.epoch, subscription.seq):
            return history
        return await self._reads.read(subscription.name, 0)

    # --- Catching up ----------------------------------------------------------------------------------
    def _catch_up_soon(self, subscription: TopicSubscription) -> None:
        subscription.live = False
        self._spawn(self._catch_up(subscription))

    async def _catch_up(self, subscription: TopicSubscription) -> None:
        async with subscription.reading:
            while subscription.is_open and not await self._has_caught_up(subscription):
                await asyncio.sleep(LAST_RETRY_SECONDS)

    async def _has_caught_up(self, subscription: TopicSubscription) -> bool:
        subscription.live = False
        try:
            await subscription.resume(await self._missed_by(subscription))
            await self._go_live(subscription)
        except (RedisError, OSError) as error:
            logger.warning("Topic '%s' could not be read back yet: %s", subscription.name, error)
            return False
        except Exception:  # a socket must not go mute by one entry that cannot be read
            logger.exception("Topic '%s' could not be read back; it is tried again", subscription.name)
            return False
        return True

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- What comes from Redis ------------------------------------------------------------------------
    def _handle(self, message: dict[str, Any]) -> int:
        """Says how many sockets were written to."""
        kind, channel = message["type"], message["channel"]
        if kind == "subscribe" and channel == HUBS_CHANNEL:
            self._listens.set()
            self._lost_at = None
        elif kind in ("subscribe", "psubscribe"):
            self._confirm(channel)
        elif kind == "message" and channel == HUBS_CHANNEL:
            self._spawn(self._reporter.follow(message["data"]))
        elif kind in ("message", "pmessage"):
            return self._deliver(message["pattern"] or channel, channel, message["data"])
        return 0

    def _deliver(self, feed_name: str, topic: str, text: str) -> int:
        if text == LOST:
            self._tell_of_loss(feed_name, topic)
            return 0
        feed, message = self._feeds.get(feed_name), parse_message(topic, text)
        if feed is None or message is None:
            return 0  # nobody listens any more, or somebody else's words on a channel of that name
        gaps = [listener for listener in feed.listeners if not listener.offer(message)]
        for listener in gaps:
            self._catch_up_soon(listener)  # type: ignore[arg-type] # only topics know gaps
        self._reporter.note(message)
        if message.request_id:
            with bound_ids(request_id=message.request_id):
                logger.info("'%s' %d goes to %d sockets", topic, message.seq, len(feed.listeners))
        return len(feed.listeners)

    def _tell_of_loss(self, feed_name: str, topic: str) -> None:
        """A publisher had to drop messages, whose seqs are in the topic's head already."""
        feed = self._feeds.get(feed_name)
        for listener in [each for each in (feed.listeners if feed else ()) if each.has_begun]:
            if isinstance(listener, TopicSubscription):
                self._catch_up_soon(listener)
            elif listener.covers(topic):
                listener.tell_of_loss()

    def _confirm(self, name: str) -> None:
        feed = self._feeds.get(name)
        if feed is None:
            return
        feed.confirmed.set()
        feed.confirmations += 1
        for listener in [listener for listener in feed.listeners if listener.has_begun]:
            if isinstance(listener, TopicSubscription):
                self._catch_up_soon(listener)
            else:
                listener.tell_of_loss()

    def _unconfirm(self) -> None:
        self._listens.clear()
        if self._lost_at is None:
            self._lost_at = asyncio.get_running_loop().time()
        for feed in self._feeds.values():
            feed.confirmed.clear()


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def hub_of_this_process() -> Hub:
    """The hub of the running event loop; a server process has one loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub(settings.REDIS_URL)
    return _hubs[loop]


def _client(redis_url: str) -> Redis:
    return async_redis_from_url(
        redis_url,
        decode_responses=True,
        encoding_errors="replace",  # a foreign message on a channel must not stop the reading
        protocol=2,
        socket_timeout=settings.REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=settings.REDIS_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),  # redis-py reconnecting behind our back would hide a gap
    )


def _channel(name: str) -> str:
    """The name as Redis takes it: in a pattern only the last `*` may stand for anything."""
    if not is_pattern(name):
        return name
    return "".join(f"\\{char}" if char in "*?[]\\^" else char for char in name[:-1]) + "*"


def _name(channel: str) -> str:
    """The pattern that `_channel` made this of."""
    if not is_pattern(channel):
        return channel
    return re.sub(r"\\(.)", r"\1", channel)

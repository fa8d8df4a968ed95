"""One hub per process: one Redis subscription, and a plain loop over the sockets that listen (design.md, decision 2).

The text that came from Redis goes out as it is; nothing is decoded per socket. Losing Redis is no special case:
every confirmation of a subscription, the first as well as one after a reconnection, means "from here on nothing is
missed", and so every listener then reads what lies before it from the stream.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from django.conf import settings
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from apps.realtime import listeners
from apps.realtime.history import History, read_history
from apps.realtime.protocol import Subscribe
from apps.realtime.subscriptions import PatternSubscription, Subscription, TopicSubscription
from apps.realtime.topics import is_pattern, parse_message

# Keeps the subscription connection alive while no topic has a listener.
IDLE_CHANNEL = "nautilus:hubs"
IDLE_SECONDS = 5.0
PATIENCE_SECONDS = 5.0
READS_AT_ONCE = 16  # after an outage every listener reads its stream
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.1, 2.0

logger = logging.getLogger(__name__)


class HubUnavailableError(Exception):
    """Redis does not answer; the client may try again."""


class Feed:
    """A topic or pattern with at least one listener in this process."""

    def __init__(self) -> None:
        self.listeners: set[Subscription] = set()
        self.confirmed = asyncio.Event()


class Hub:
    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(
            redis_url,
            decode_responses=True,
            encoding_errors="replace",  # a foreign message on a channel must not stop the reading
            protocol=2,
            socket_timeout=settings.REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=settings.REDIS_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),  # redis-py reconnecting behind our back would hide a gap
        )
        self._feeds: dict[str, Feed] = {}
        self._link: PubSub | None = None
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Task[None] | None = None
        self._reporting: asyncio.Task[None] | None = None
        self._id = listeners.new_hub_id()

    async def subscribe(self, subscription: Subscription, request: Subscribe) -> None:
        """Answers the request and brings its subscription live; raises HubUnavailableError."""
        try:
            await self._attach(subscription)
            await self._begin(subscription, request)
        except (RedisError, OSError) as error:
            await self.unsubscribe(subscription)
            raise HubUnavailableError(str(error)) from error

    async def unsubscribe(self, subscription: Subscription) -> None:
        subscription.close()
        name = _channel(subscription.name)
        feed = self._feeds.get(name, Feed())
        feed.listeners.discard(subscription)
        if not feed.listeners and name in self._feeds:
            del self._feeds[name]
            await self._tell_redis(name, subscribe=False)

    async def close(self) -> None:
        running = [task for task in (self._listening, self._reporting, *self._tasks) if task]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._redis.aclose()

    # --- Starting a subscription ----------------------------------------------------------------------
    async def _attach(self, subscription: Subscription) -> None:
        name = _channel(subscription.name)
        is_new = name not in self._feeds
        feed = self._feeds.setdefault(name, Feed())
        feed.listeners.add(subscription)
        self._ensure_listening()
        if is_new:
            await self._tell_redis(name, subscribe=True)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await feed.confirmed.wait()

    async def _begin(self, subscription: Subscription, request: Subscribe) -> None:
        if isinstance(subscription, PatternSubscription):
            subscription.begin(request.request_id)
            return
        async with subscription.reading:
            history = await self._history(subscription, request.since)
            await subscription.begin(history, request)
            await self._go_live(subscription)

    async def _go_live(self, subscription: TopicSubscription) -> None:
        while not await subscription.settle():
            await subscription.resume(await self._missed_by(subscription))

    async def _missed_by(self, subscription: TopicSubscription) -> History:
        """What lies between the subscription and now; all that there is where the history is another one."""
        history = await self._history(subscription, subscription.seq)
        if history.continues(subscription.epoch, subscription.seq):
            return history
        return await self._history(subscription, after=0)

    async def _history(self, subscription: TopicSubscription, after: int | None) -> History:
        async with self._reads:
            return await read_history(self._redis, subscription.name, after)

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
        return True

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- The one Redis subscription -------------------------------------------------------------------
    def _ensure_listening(self) -> None:
        if self._listening is None or self._listening.done():
            self._listening = asyncio.get_running_loop().create_task(self._listen_for_ever())
        if self._reporting is None or self._reporting.done():
            self._reporting = asyncio.get_running_loop().create_task(self._report_for_ever())

    async def _listen_for_ever(self) -> None:
        delay_seconds = FIRST_RETRY_SECONDS
        while True:
            if await self._listen_until_lost():
                delay_seconds = FIRST_RETRY_SECONDS
            await asyncio.sleep(delay_seconds)
            delay_seconds = min(2 * delay_seconds, LAST_RETRY_SECONDS)

    async def _listen_until_lost(self) -> bool:
        """Reads until the connection breaks; whether there was one."""
        try:
            async with self._redis.pubsub() as link:
                await self._connect(link)
                await self._read(link)
        except (RedisError, OSError) as error:
            logger.warning("The hub lost Redis and comes back to it: %s", error)
        except Exception:  # the hub must outlive a mistake in one message
            logger.exception("The hub stumbled and starts its Redis subscription anew")
        return self._forget_link()

    def _forget_link(self) -> bool:
        had_link, self._link = self._link is not None, None
        for feed in self._feeds.values():
            feed.confirmed.clear()
        return had_link

    async def _connect(self, link: PubSub) -> None:
        await link.subscribe(IDLE_CHANNEL)
        self._link = link  # from here on new feeds subscribe by themselves
        topics = [name for name in self._feeds if not is_pattern(name)]
        patterns = [name for name in self._feeds if is_pattern(name)]
        if topics:
            await link.subscribe(*topics)
        if patterns:
            await link.psubscribe(*patterns)

    async def _read(self, link: PubSub) -> None:
        is_waiting_for_pong = False
        while True:
            message = await link.get_message(timeout=IDLE_SECONDS)
            if message is None and is_waiting_for_pong:
                raise TimeoutError(f"no answer for {2 * IDLE_SECONDS:g} s")
            if message is None:
                await link.ping()
            else:
                self._handle(message)
            is_waiting_for_pong = message is None

    async def _tell_redis(self, name: str, *, subscribe: bool) -> None:
        if self._link is None:
            return  # the next connection starts with what is wanted then
        link = self._link
        on, off = (link.psubscribe, link.punsubscribe) if is_pattern(name) else (link.subscribe, link.unsubscribe)
        try:
            await (on if subscribe else off)(name)
        except (RedisError, OSError) as error:
            logger.warning("The hub lost Redis at '%s' and comes back to it: %s", name, error)
            self._listen_anew()

    def _listen_anew(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        self._forget_link()
        self._listening = None
        self._ensure_listening()

    # --- How many listen ------------------------------------------------------------------------------
    async def _report_for_ever(self) -> None:
        """Tells listeners.py; a hub that nobody listens to any more says so once, and then nothing."""
        said: dict[str, int] = {}
        while True:
            counted = listeners.count_by_prefix({name: len(feed.listeners) for name, feed in self._feeds.items()})
            if counted or said:
                said = await self._report(counted)
            await asyncio.sleep(listeners.REPORT_SECONDS)

    async def _report(self, counted: dict[str, int]) -> dict[str, int]:
        try:
            await listeners.report_listeners(self._redis, self._id, counted)
        except (RedisError, OSError) as error:
            logger.debug("The hub could not say how many listen: %s", error)
        return counted

    # --- What comes from Redis ------------------------------------------------------------------------
    def _handle(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "message":
            self._deliver(message["channel"], message["channel"], message["data"])
        elif kind == "pmessage":
            self._deliver(message["pattern"], message["channel"], message["data"])
        elif kind in ("subscribe", "psubscribe"):
            self._confirm(message["channel"])

    def _deliver(self, feed_name: str, topic: str, text: str) -> None:
        feed, message = self._feeds.get(feed_name), parse_message(topic, text)
        if feed is None or message is None:
            return  # nobody listens any more, or somebody else's words on a channel of that name
        gaps = [listener for listener in feed.listeners if not listener.offer(message)]
        for listener in gaps:
            self._catch_up_soon(listener)  # type: ignore[arg-type] # only topics know gaps

    def _confirm(self, name: str) -> None:
        feed = self._feeds.get(name, Feed())
        is_first = not feed.confirmed.is_set()
        feed.confirmed.set()
        for listener in [listener for listener in feed.listeners if listener.has_begun]:
            if isinstance(listener, TopicSubscription):
                self._catch_up_soon(listener)
            elif is_first:
                listener.tell_of_loss()


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def hub_of_this_process() -> Hub:
    """The hub of the running event loop; a server process has one loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub(settings.REDIS_URL)
    return _hubs[loop]


def _channel(name: str) -> str:
    """The name as Redis takes it: in a pattern only the last `*` may stand for anything."""
    if not is_pattern(name):
        return name
    return "".join(f"\\{char}" if char in "*?[]\\^" else char for char in name[:-1]) + "*"

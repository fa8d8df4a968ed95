"""A process's one Redis subscription: which channels it wants, and coming back to them when the connection is lost.

Losing Redis is no special case. Every confirmation of a channel, the first as well as one after a reconnection, means
"from here on nothing is missed"; what lies before it is for whoever wants the channel to read from the stream.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from apps.realtime.topics import is_pattern
from nautilus.logs.ids import forget_ids

IDLE_SECONDS = 5.0
# While there is more to read the client does not wait; after so many writes the sockets have their turn.
# Several messages to one socket within a turn go out in one write of the event loop.
WRITES_AT_ONCE = 2_000
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.1, 2.0

logger = logging.getLogger(__name__)

Handle = Callable[[dict[str, Any]], int]


class RedisLink:
    def __init__(
        self, redis: Redis, always: str, wanted: Callable[[], Collection[str]], handle: Handle, lost: Callable[[], None]
    ) -> None:
        """`redis` is the link's own: a command that is broken off closes its connection.

        `always` is a channel that is wanted in any case; it keeps the connection alive while nothing else is.
        `handle` gets each message and confirmation and says how many sockets it wrote to; `lost` is called when
        nothing is confirmed any more.
        """
        self._redis = redis
        self._always = always
        self._wanted = wanted
        self._handle = handle
        self._lost = lost
        self._pubsub: PubSub | None = None
        self._listening: asyncio.Task[None] | None = None

    def ensure(self) -> None:
        """Listens, from now on."""
        if self._listening is None or self._listening.done():
            self._listening = asyncio.get_running_loop().create_task(self._listen_for_ever())

    def begin_anew(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        self._forget()
        self._listening = None
        self.ensure()

    async def close(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        await self._redis.aclose()

    async def add(self, name: str) -> None:
        await self._tell(name, subscribe=True)

    async def remove(self, name: str) -> None:
        await self._tell(name, subscribe=False)

    async def _tell(self, name: str, *, subscribe: bool) -> None:
        if self._pubsub is None:
            return  # the next connection starts with what is wanted then
        pubsub = self._pubsub
        on, off = (
            (pubsub.psubscribe, pubsub.punsubscribe) if is_pattern(name) else (pubsub.subscribe, pubsub.unsubscribe)
        )
        call: Callable[[str], Awaitable[Any]] = on if subscribe else off
        try:
            await call(name)
        except Exception as error:  # redis-py also stumbles over a connection that is just being closed
            logger.warning("The hub lost Redis at '%s' and comes back to it: %s", name, error)
            self._give_up(pubsub)
        except asyncio.CancelledError:  # redis-py closes a connection on which a command was broken off
            self._give_up(pubsub)
            raise

    def _give_up(self, pubsub: PubSub) -> None:
        if self._pubsub is pubsub:  # else somebody was faster, and the next one is on its way
            self.begin_anew()

    def _check_turn(self) -> None:
        """Ends a listener that another one has replaced: before Python 3.12 wait_for may swallow a cancellation."""
        if self._listening is not asyncio.current_task():
            raise asyncio.CancelledError

    async def _listen_for_ever(self) -> None:
        forget_ids()  # of the socket whose wish began this
        delay_seconds = FIRST_RETRY_SECONDS
        while True:
            if await self._listen_until_lost():
                delay_seconds = FIRST_RETRY_SECONDS
            await asyncio.sleep(delay_seconds)
            delay_seconds = min(2 * delay_seconds, LAST_RETRY_SECONDS)

    async def _listen_until_lost(self) -> bool:
        """Reads until the connection breaks; whether there was one."""
        try:
            async with self._redis.pubsub() as pubsub:
                await self._connect(pubsub)
                await self._read(pubsub)
        except (RedisError, OSError) as error:
            logger.warning("The hub lost Redis and comes back to it: %s", error)
        except Exception:  # the hub must outlive a mistake in one message
            logger.exception("The hub stumbled and starts its Redis subscription anew")
        self._check_turn()
        return self._forget()

    def _forget(self) -> bool:
        had_one, self._pubsub = self._pubsub is not None, None
        self._lost()
        return had_one

    async def _connect(self, pubsub: PubSub) -> None:
        await pubsub.subscribe(self._always)
        self._check_turn()
        self._pubsub = pubsub  # from here on what is wanted newly is added by itself
        topics = [name for name in self._wanted() if not is_pattern(name)]
        patterns = [name for name in self._wanted() if is_pattern(name)]
        if topics:
            await pubsub.subscribe(*topics)
        if patterns:
            await pubsub.psubscribe(*patterns)

    async def _read(self, pubsub: PubSub) -> None:
        is_waiting_for_pong = False
        written = 0
        while True:
            message = await pubsub.get_message(timeout=IDLE_SECONDS)
            self._check_turn()
            if message is None and is_waiting_for_pong:
                raise TimeoutError(f"no answer for {2 * IDLE_SECONDS:g} s")
            if message is None:
                await pubsub.ping()
            else:
                written += self._handle(message)
            if written >= WRITES_AT_ONCE:
                await asyncio.sleep(0)
                written = 0
            is_waiting_for_pong = message is None

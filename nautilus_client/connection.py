"""One life of the socket: what is asked on it, and where that goes which comes."""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from nautilus_client.errors import BadFrameError, RefusedError
from nautilus_client.pace import Pace
from nautilus_client.place import covers
from nautilus_client.reconnecting import FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS, Backoff
from nautilus_client.subscription import State, Subscription

PING_SECONDS = 20.0
ANSWER_SECONDS = 30.0  # the server itself gives up after 5, and may have messages of other topics to send before
RETRIED_CODES = ("unavailable", "rate_limited")
# Below what the server allows, 50 a second and 200 at once: a client with many topics shall not be refused for it.
FRAMES_PER_SECOND, FRAMES_AT_ONCE = 40.0, 150

logger = logging.getLogger(__name__)


class Connection:
    def __init__(self, socket: ClientConnection, subscriptions: Mapping[str, Subscription]) -> None:
        """`subscriptions` by topic are the client's; they live longer than this connection."""
        self.has_heard = False
        self._socket = socket
        self._subscriptions = subscriptions
        self._outgoing: asyncio.Queue[str] = asyncio.Queue()
        self._pace = Pace(FRAMES_PER_SECOND, FRAMES_AT_ONCE)
        self._asked: dict[int, Subscription] = {}
        self._ids = count(1)
        self._retries: dict[str, Backoff] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    async def run(self) -> None:
        """Reads until the socket closes; raises ConnectionClosed or BadFrameError."""
        beside = [asyncio.create_task(self._write()), asyncio.create_task(self._ping())]
        try:
            for subscription in list(self._subscriptions.values()):
                self.ask(subscription)
            await self._read()
        finally:
            for task in beside:
                task.cancel()
            for timer in self._timers:
                timer.cancel()

    # --- What is asked --------------------------------------------------------------------------------
    def ask(self, subscription: Subscription) -> None:
        if subscription.state in (State.PARKED, State.CLOSED):
            return
        subscription.state = State.ASKED
        request_id = next(self._ids)
        self._asked[request_id] = subscription
        self._send(id=request_id, **subscription.request())
        self._later(ANSWER_SECONDS, lambda: self._miss_answer(request_id))

    def leave(self, subscription: Subscription) -> None:
        self._asked = {number: other for number, other in self._asked.items() if other is not subscription}
        self._send(type="unsubscribe", topic=subscription.topic, id=next(self._ids))

    def _send(self, **frame: Any) -> None:
        self._outgoing.put_nowait(json.dumps(frame))

    async def _write(self) -> None:
        with suppress(ConnectionClosed):  # the reading tells
            while True:
                frame = await self._outgoing.get()
                await asyncio.sleep(self._pace.delay_seconds(asyncio.get_running_loop().time()))
                await self._socket.send(frame)

    async def _ping(self) -> None:
        """Asks how far filtered topics have come; that the other end lives is known from WebSocket's own pings."""
        while True:
            await asyncio.sleep(PING_SECONDS)
            if any(subscription.is_filtered for subscription in self._subscriptions.values()):
                self._send(type="ping")

    def _later(self, seconds: float, call: Any) -> None:
        def run() -> None:
            self._timers.discard(timer)
            call()

        timer = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(timer)

    def _miss_answer(self, request_id: int) -> None:
        if request_id in self._asked:
            logger.warning("No answer for %g s; the connection is given up", ANSWER_SECONDS)
            self._socket.transport.abort()

    # --- What comes -----------------------------------------------------------------------------------
    async def _read(self) -> None:
        while True:
            text = await self._socket.recv()
            try:
                await self._follow(json.loads(text))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise BadFrameError(f"{text[:200]!r} is no frame of the protocol: {error!r}") from error
            self.has_heard = True

    async def _follow(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "message":
                await self._take(frame)
            case "batch":
                for message in frame["messages"]:
                    await self._take(message)
            case "subscribed":
                self._begin(frame)
            case "pong":
                self._advance(frame.get("positions") or {})
            case "error":
                self._refuse(frame)
            case "unsubscribed":
                self._hear_of_end(frame)

    async def _take(self, frame: dict[str, Any]) -> None:
        for subscription in self._readers_of(frame):
            await subscription.take(frame)

    def _readers_of(self, frame: dict[str, Any]) -> Iterator[Subscription]:
        """The topic's own subscription, or else the pattern that covers it: the server sends a message once."""
        topic = frame["topic"]
        own = self._subscriptions.get(topic)
        is_own = own and own.has_begun and not own.place.came_before(frame)
        covering = [own] if own and is_own else self._patterns_of(topic)
        return (one for one in covering if one.state is State.LIVE)

    def _patterns_of(self, topic: str) -> list[Subscription]:
        return [one for one in self._subscriptions.values() if covers(one.topic, topic)]

    def _begin(self, frame: dict[str, Any]) -> None:
        request_id = frame.get("id")
        if request_id is None:
            self._hear_of_loss(frame)
        elif subscription := self._asked.pop(request_id, None):
            self._retries.pop(subscription.topic, None)
            subscription.begin(frame)

    def _hear_of_loss(self, frame: dict[str, Any]) -> None:
        subscription = self._subscriptions.get(frame["topic"])
        if subscription and subscription.state is State.LIVE:
            subscription.begin(frame)

    def _hear_of_end(self, frame: dict[str, Any]) -> None:
        """Without an id it answers nobody: the server has looked again at who may read the topic."""
        topic = frame["topic"]
        subscription = self._subscriptions.get(topic)
        if frame.get("id") is None and subscription and subscription.state is State.LIVE:
            subscription.fail(RefusedError("not_found", f"there is no topic {topic!r} that you may read any more"))

    def _advance(self, positions: dict[str, int]) -> None:
        for topic, seq in positions.items():
            subscription = self._subscriptions.get(topic)
            if subscription and subscription.is_filtered and subscription.state is State.LIVE:
                subscription.place.advance(seq)

    def _refuse(self, frame: dict[str, Any]) -> None:
        subscription = self._asked.pop(frame.get("id", 0), None)
        if subscription is None:
            logger.warning("The server says: %s: %s", frame["code"], frame["detail"])
        elif frame["code"] in RETRIED_CODES:
            self._ask_again(subscription)
        elif frame["code"] == "already_subscribed":  # the request to leave it was lost to the limit of frames
            self.leave(subscription)
            self.ask(subscription)
        else:
            subscription.fail(RefusedError(frame["code"], frame["detail"]))

    def _ask_again(self, subscription: Subscription) -> None:
        subscription.state = State.WAITING
        backoff = self._retries.setdefault(subscription.topic, Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS))
        self._later(backoff.next_delay_seconds(), lambda: self._ask_if_waiting(subscription))

    def _ask_if_waiting(self, subscription: Subscription) -> None:
        if subscription.state is State.WAITING:
            self.ask(subscription)

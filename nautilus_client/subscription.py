"""One subscription: a bounded queue between the socket and who reads it."""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from typing import Any, Protocol, Self

from nautilus_client.items import Item, message_of
from nautilus_client.place import PatternPlace, Verdict, place_of

# So long a full queue holds up the socket. Then its topic is left: who reads it may be waiting for another topic.
PATIENCE_SECONDS = 0.25


class State(Enum):
    WAITING = "waiting"  # for a connection
    ASKED = "asked"
    LIVE = "live"
    PARKED = "parked"  # the queue is full; the server is asked again when there is room
    CLOSED = "closed"


class Owner(Protocol):
    """What a subscription needs of its client."""

    def register(self, subscription: "Subscription") -> None: ...
    def ask(self, subscription: "Subscription") -> None: ...
    def leave(self, subscription: "Subscription") -> None: ...
    def forget(self, subscription: "Subscription") -> None: ...


class Subscription:
    """Gives the items of a topic or pattern, in order: `async with` starts and ends it, `async for` reads it.

    At most about `queue_size` items wait. A reader that is slower than its topic holds up the connection for a moment
    (PATIENCE_SECONDS); then the topic is left, and joined again from its last message once half of what waits has been
    read. A topic loses nothing by that, as long as the server keeps its messages; of a pattern it is a Gap. A client
    that is too slow as a whole is closed by the server (4008), and goes on likewise.
    """

    def __init__(
        self,
        owner: Owner,
        topic: str,
        *,
        filters: Mapping[str, Any] | None,
        batch: bool,
        since: int | None,
        epoch: str | None,
        queue_size: int,
    ) -> None:
        self.topic = topic
        self.is_filtered = bool(filters)
        self.state = State.WAITING
        self.place = place_of(topic, since, epoch, is_filtered=self.is_filtered)
        self._owner = owner
        self._options: dict[str, Any] = {"filters": dict(filters)} if filters else {}
        self._options |= {"batch": True} if batch else {}
        self._items: deque[Item] = deque()
        self._queue_size = queue_size
        self._is_registered = False
        self._error: Exception | None = None
        self._has_begun = False
        self._changed = asyncio.Event()  # for who reads: an item, the beginning or the end
        self._drained = asyncio.Event()  # for the socket: there is room

    @property
    def position(self) -> tuple[int | None, str | None]:
        """`seq` and `epoch` up to which the topic was received; some of it may still wait to be read."""
        return self.place.seq, self.place.epoch

    @property
    def has_begun(self) -> bool:
        """Whether the server has ever answered; before that it sends the topic by the pattern that covers it."""
        return self._has_begun

    # --- For who reads --------------------------------------------------------------------------------
    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        if not await self._wait_for_items():
            raise StopAsyncIteration
        item = self._items.popleft()
        self._make_room()
        return item

    async def take_all(self) -> list[Item]:
        """All that waits, one at least; nothing when the subscription was closed. Raises as `async for` does."""
        await self._wait_for_items()
        items = list(self._items)
        self._items.clear()
        self._make_room()
        return items

    async def start(self) -> None:
        """Returns when the server follows the topic for us; raises RefusedError where it refuses."""
        self._register()
        try:
            while not self._has_begun and self.state is not State.CLOSED:
                await self._change()
        except asyncio.CancelledError:
            self.close()
            raise
        if self._error:
            raise self._error

    def close(self) -> None:
        """Leaves the topic; what waits can still be read."""
        if self.state is not State.CLOSED:
            self._owner.leave(self)
            self._end()

    # --- For the connection ---------------------------------------------------------------------------
    def request(self) -> dict[str, Any]:
        return {"type": "subscribe", "topic": self.topic, **self._options, **self.place.request()}

    def begin(self, frame: dict[str, Any]) -> None:
        """The server's `subscribed`."""
        self.state = State.LIVE
        self._has_begun = True
        if gap := self.place.begin(frame):
            self._items.append(gap)
        self._changed.set()

    async def take(self, frame: dict[str, Any]) -> None:
        """The server's `message`."""
        verdict = self.place.check(frame)
        if verdict is Verdict.OLD or not await self._has_room():
            return
        if verdict is Verdict.MISSING and self.place.may_ask_again():
            self._owner.leave(self)
            self._owner.ask(self)
            return
        if verdict is Verdict.MISSING:
            self._items.append(self.place.skip_to(frame))
        self._put(frame)

    def hear_of_end(self, topic: str) -> None:
        """Of another subscription of the client, whose topic a pattern gets from now on."""
        if isinstance(self.place, PatternPlace):
            self.place.let_jump(topic)

    def fail(self, error: Exception) -> None:
        if self.state is not State.CLOSED:
            self._error = error
            self._end()

    # --- Inside ---------------------------------------------------------------------------------------
    def _register(self) -> None:
        if not self._is_registered and self.state is not State.CLOSED:
            self._owner.register(self)
            self._is_registered = True
            self._owner.ask(self)

    async def _wait_for_items(self) -> bool:
        self._register()
        while not self._items and self.state is not State.CLOSED:
            await self._change()
        if not self._items and self._error:
            raise self._error
        return bool(self._items)

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _put(self, frame: dict[str, Any]) -> None:
        self.place.move(frame)
        self._items.append(message_of(frame))
        self._changed.set()

    async def _has_room(self) -> bool:
        """Waits a moment for room; where there is none, the topic is left for a while."""
        if len(self._items) < self._queue_size:
            return True
        self._drained.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._drained.wait()
        if len(self._items) >= self._queue_size:
            self._park()
        return self.state is State.LIVE

    def _park(self) -> None:
        if self.state is State.LIVE:
            self._owner.leave(self)
            self.state = State.PARKED

    def _make_room(self) -> None:
        if len(self._items) > self._queue_size // 2:
            return
        self._drained.set()
        if self.state is State.PARKED:
            self.state = State.WAITING
            self._owner.ask(self)

    def _end(self) -> None:
        self.state = State.CLOSED
        self._owner.forget(self)
        self._changed.set()
        self._drained.set()

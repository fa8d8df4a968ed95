"""What goes to one socket whose server makes it wait, by hand: no task while it does not, one while it does."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from apps.realtime.outbox import MAX_WAITING, Outbox, Traffic


class Wire:
    """A server's `send` that can be held up, as by a client that does not read."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.clear = asyncio.Event()
        self.clear.set()
        self.is_gone = False
        self.overflowed = 0
        self.traffic = Traffic()
        self.outbox = Outbox(self.send, self.overflow, self.traffic)

    async def send(self, frame: dict[str, Any]) -> None:
        await self.clear.wait()
        await asyncio.sleep(0) if not self.sent else None  # a server may also just yield once
        if self.is_gone:
            raise ConnectionResetError
        self.sent.append(frame["text"])

    async def overflow(self) -> None:
        self.overflowed += 1


def run(story: Callable[[Wire], Coroutine[Any, Any, None]]) -> None:
    async def told() -> None:
        await story(Wire())

    asyncio.run(told())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_frame_is_written_in_the_call_that_puts_it() -> None:
    async def story(wire: Wire) -> None:
        wire.sent.append("before")
        wire.outbox.put("one")
        wire.outbox.put("two", messages=3)
        assert wire.sent == ["before", "one", "two"]
        assert (wire.traffic.messages, wire.traffic.bytes) == (4, 6)

    run(story)


def test_order_holds_when_the_client_makes_the_server_wait() -> None:
    async def story(wire: Wire) -> None:
        wire.outbox.put("0")
        wire.clear.clear()
        for number in range(1, 50):
            wire.outbox.put(str(number))
        await settle()
        assert wire.outbox.depth >= 49
        wire.clear.set()
        await wire.outbox.flush()
        wire.outbox.put("50")
        await settle()
        assert wire.sent == [str(number) for number in range(51)]
        assert wire.outbox.depth == 0

    run(story)


def test_client_that_lets_too_much_wait_is_given_up_once() -> None:
    async def story(wire: Wire) -> None:
        wire.clear.clear()
        for number in range(MAX_WAITING + 50):
            wire.outbox.put(str(number))
        await settle()
        assert wire.overflowed == 1
        assert not wire.outbox.is_open
        assert (wire.traffic.slow_consumers, wire.traffic.dropped) == (1, MAX_WAITING + 1)
        assert wire.outbox.depth == 0
        wire.clear.set()
        await settle()
        assert wire.sent == []

    run(story)


def test_batch_counts_with_all_its_messages() -> None:
    async def story(wire: Wire) -> None:
        wire.clear.clear()
        for _ in range(MAX_WAITING // 100):
            wire.outbox.put("batch", messages=100)
        assert wire.outbox.is_open
        wire.outbox.put("batch", messages=100)
        assert not wire.outbox.is_open
        await settle()

    run(story)


def test_client_that_has_gone_ends_the_outbox_without_an_error() -> None:
    async def story(wire: Wire) -> None:
        wire.sent.append("before")
        wire.is_gone = True
        wire.outbox.put("one")
        assert not wire.outbox.is_open
        await wire.outbox.flush()
        assert wire.overflowed == 0

    run(story)


def test_client_that_goes_while_it_is_waited_for_ends_the_outbox() -> None:
    async def story(wire: Wire) -> None:
        wire.clear.clear()
        wire.outbox.put("one")
        wire.outbox.put("two")
        waiting = asyncio.ensure_future(wire.outbox.flush())
        await settle()
        wire.is_gone = True
        wire.clear.set()
        await asyncio.wait_for(waiting, 5)
        assert not wire.outbox.is_open

    run(story)


def test_time_without_progress_is_known() -> None:
    async def story(wire: Wire) -> None:
        assert wire.outbox.blocked_seconds() == 0
        wire.clear.clear()
        wire.outbox.put("one")
        await asyncio.sleep(0.05)
        assert wire.outbox.blocked_seconds() >= 0.05
        wire.clear.set()
        await wire.outbox.flush()
        await settle()
        assert wire.outbox.blocked_seconds() == 0

    run(story)

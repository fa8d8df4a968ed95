"""What waits to be written to one socket: one slow reader holds up nobody else.

A frame goes to the server in the very call that puts it, without a task: the server's `send` is started by hand, and
only where it has to wait for the client does a task take it over, and later frames wait behind it. A task switch for
each socket and message is what stock groups spend most of their time on (design.md, decision 2). Where the server takes
ready frames (nautilus/websocket_protocol.py) a message is made one once, for all sockets that get it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from nautilus.websocket_protocol import text_frame

MAX_WAITING = 1_000
MAX_WAITING_BYTES = 32 * 2**20

WriteFrame = Callable[[bytes], bool]
Send = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]


class Traffic:
    """What a process has sent; all of its outboxes count here."""

    __slots__ = ("bytes", "dropped", "messages", "slow_consumers")

    def __init__(self) -> None:
        self.messages = self.bytes = self.dropped = self.slow_consumers = 0


class Outbox:
    def __init__(
        self,
        send: Send,
        overflow: Callable[[], Awaitable[None]],
        traffic: Traffic | None = None,
        write_frame: WriteFrame | None = None,
    ) -> None:
        """`send` and `write_frame` are the server's; `overflow` is awaited once, when more than MAX_WAITING wait."""
        self._send = send
        self._write_frame = write_frame
        self._overflow = overflow
        self._traffic = traffic or Traffic()
        self._waiting: deque[tuple[str, int]] = deque()
        self._waiting_bytes = 0
        self._drained = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._progress_at = 0.0
        self.depth = 0  # messages that wait
        self.is_open = True

    def put(self, text: str, messages: int = 1) -> None:
        if not self.is_open:
            return
        if self._writing is not None:
            self._wait(text, messages)
        elif self._write_frame is not None and self._write_frame(_frame_of(text)):
            self._count(text, messages)
        else:
            self._start(text, messages)

    def _start(self, text: str, messages: int) -> None:
        sending = self._send({"type": "websocket.send", "text": text})
        try:
            blocked_on = sending.send(None)
        except StopIteration:
            self._count(text, messages)
        except Exception:  # the client has gone; the consumer hears of that by itself
            self._stop()
        else:
            self._take_over(_Rest(sending, blocked_on), text, messages)

    def blocked_seconds(self) -> float:
        """For how long the client has taken nothing of what waits for it."""
        return 0.0 if self._writing is None else asyncio.get_running_loop().time() - self._progress_at

    async def room(self) -> None:
        """Returns when there is room for as much again as half of MAX_WAITING, or nobody reads any more."""
        await self._until_at_most(MAX_WAITING // 2)

    async def flush(self) -> None:
        """Returns when everything that waits has been handed to the server."""
        await self._until_at_most(0)

    def close(self) -> None:
        self._stop()
        if self._writing is not None:
            self._writing.cancel()

    async def _until_at_most(self, messages: int) -> None:
        while self.is_open and self.depth > messages:
            self._drained.clear()
            await self._drained.wait()

    # --- A client that does not keep up ---------------------------------------------------------------
    def _take_over(self, rest: Awaitable[None], text: str, messages: int) -> None:
        self.depth += messages
        self._progress_at = asyncio.get_running_loop().time()
        self._writing = asyncio.get_running_loop().create_task(self._write_all(rest, text, messages))

    def _wait(self, text: str, messages: int) -> None:
        self._waiting.append((text, messages))
        self._waiting_bytes += len(text)
        self.depth += messages
        if self.depth > MAX_WAITING or self._waiting_bytes > MAX_WAITING_BYTES:
            self._give_up()

    async def _write_all(self, rest: Awaitable[None], text: str, messages: int) -> None:
        try:
            await rest
            self._written(text, messages)
            while self._waiting:
                text, messages = self._waiting.popleft()
                self._waiting_bytes -= len(text)
                await self._send({"type": "websocket.send", "text": text})
                self._written(text, messages)
        except Exception:  # the client has gone; the consumer hears of that by itself
            self._stop()
        finally:
            self._writing = None

    def _written(self, text: str, messages: int) -> None:
        self.depth -= messages
        self._progress_at = asyncio.get_running_loop().time()
        self._count(text, messages)
        self._drained.set()

    def _count(self, text: str, messages: int) -> None:
        self._traffic.messages += messages
        self._traffic.bytes += len(text)

    def _give_up(self) -> None:
        self._traffic.slow_consumers += 1
        self._traffic.dropped += self.depth
        self.close()
        # The reference is kept until done: the loop alone would not hold it.
        self._ending = asyncio.ensure_future(_awaited(self._overflow))

    def _stop(self) -> None:
        self.is_open = False
        self._waiting.clear()
        self._waiting_bytes = self.depth = 0
        self._drained.set()


_framed: tuple[str, bytes] = ("", b"")


def _frame_of(text: str) -> bytes:
    """Made once for all sockets of this process: they are given the same text one after the other."""
    global _framed
    if _framed[0] is not text:
        _framed = (text, text_frame(text))
    return _framed[1]


async def _awaited(call: Callable[[], Awaitable[None]]) -> None:
    await call()


class _Rest:
    """What remains of a coroutine that was started by hand and waits for `blocked_on`."""

    def __init__(self, started: Coroutine[Any, Any, None], blocked_on: Any) -> None:
        self._started = started
        self._blocked_on = blocked_on

    def __await__(self) -> Generator[Any, Any, None]:
        blocked_on = self._blocked_on
        try:
            while True:
                try:
                    told = yield blocked_on
                except GeneratorExit:
                    self._started.close()
                    raise
                except BaseException as error:
                    blocked_on = self._started.throw(error)
                else:
                    blocked_on = self._started.send(told)
        except StopIteration:
            return

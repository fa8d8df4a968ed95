"""What waits to be written to one socket. A task of its own writes it: one slow reader holds up nobody else."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

MAX_WAITING = 1_000


class Outbox:
    def __init__(
        self, write: Callable[[str], Awaitable[None]], overflow: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """`write` sends one frame; `overflow` is awaited once, when more than MAX_WAITING frames wait."""
        self._write = write
        self._overflow = overflow
        self._waiting: deque[str] = deque()
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._task = asyncio.create_task(self._write_all())
        self.is_open = True

    def put(self, text: str) -> None:
        if not self.is_open:
            return
        self._waiting.append(text)
        self._filled.set()
        if len(self._waiting) > MAX_WAITING:
            self._give_up()

    async def room(self) -> None:
        """Returns when there is room for as much again as half of MAX_WAITING, or nobody reads any more."""
        while self.is_open and len(self._waiting) > MAX_WAITING // 2:
            self._drained.clear()
            await self._drained.wait()

    def close(self) -> None:
        self._stop()
        self._task.cancel()

    async def flush(self) -> None:
        """Returns when everything that waits has been handed to the server."""
        while self.is_open and self._waiting:
            self._drained.clear()
            await self._drained.wait()

    async def _write_all(self) -> None:
        # The server raises when the client has gone; the consumer hears of that by itself.
        with suppress(Exception):
            while True:
                await self._filled.wait()
                await self._write_waiting()
        self._stop()

    async def _write_waiting(self) -> None:
        while self._waiting:
            await self._write(self._waiting[0])
            if self._waiting:
                self._waiting.popleft()
            if len(self._waiting) <= MAX_WAITING // 2:
                self._drained.set()
        self._filled.clear()

    def _give_up(self) -> None:
        self.close()
        # The reference is kept until done: the loop alone would not hold it.
        self._task = asyncio.create_task(self._overflow())

    def _stop(self) -> None:
        self.is_open = False
        self._waiting.clear()
        self._drained.set()

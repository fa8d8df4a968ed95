"""Work that an event loop does again and again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from nautilus.logs.ids import forget_ids

logger = logging.getLogger(__name__)

Turn = tuple[float, Callable[[], Awaitable[None]]]


class Regular:
    def __init__(self, turns: Iterable[Turn]) -> None:
        """Seconds between two turns, and what is done in each."""
        self._turns = tuple(turns)
        self._running: list[asyncio.Task[None]] = []

    def ensure(self) -> None:
        """Goes on, from now on."""
        if not self._running:
            loop = asyncio.get_running_loop()
            self._running = [loop.create_task(_repeat(*turn)) for turn in self._turns]

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


async def _repeat(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    forget_ids()  # of the socket that came when this began
    while True:
        try:
            await work()
        except Exception:  # a mistake in one turn must not be the last turn
            logger.exception("A hub's regular work failed")
        await asyncio.sleep(seconds)

"""Following topics by a socket, as far as that goes: who needs more asks the REST API afterwards."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from nautilus_client import AsyncClient, Gap, NautilusError

SOCKET_RETRIES = 2

# Takes a message's data; answers whether that was all there is to hear.
Listener = Callable[[dict[str, Any]], bool]


def hear(address: str, listeners: Mapping[str, Listener], deadline: float) -> None:
    """Each topic from its beginning, until its listener has heard enough, something is lost, or it is too late."""
    if not listeners:
        return

    async def hear_all() -> None:
        async with (
            asyncio.timeout(deadline - time.perf_counter()),
            AsyncClient(address, retries=SOCKET_RETRIES) as client,
        ):
            await asyncio.gather(*(_hear_one(client, topic, listener) for topic, listener in listeners.items()))

    # In a thread: a signal's exception that hits another task than the main one would be lost in an event loop.
    hearing = ThreadPoolExecutor(max_workers=1)
    try:
        with suppress(NautilusError, TimeoutError):
            hearing.submit(asyncio.run, hear_all()).result()
    finally:
        hearing.shutdown(wait=False)


async def _hear_one(client: AsyncClient, topic: str, listener: Listener) -> None:
    async with client.subscribe(topic, since=0) as messages:
        async for message in messages:
            if isinstance(message, Gap) or listener(message.data):
                return

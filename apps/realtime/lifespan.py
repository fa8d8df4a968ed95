"""The hub begins with its process, so that operators see a process that has no socket yet, and ends with it."""

from typing import Any

from apps.realtime.hub import hub_of_this_process


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    """ASGI's lifespan protocol."""
    await receive()
    hub_of_this_process().start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await hub_of_this_process().close()
    await send({"type": "lifespan.shutdown.complete"})

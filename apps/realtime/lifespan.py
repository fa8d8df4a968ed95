"""The hub begins with its process, so that operators see a process that has no socket yet, and ends with it."""

import logging
from typing import Any

from apps.realtime.hub import hub_of_this_process

logger = logging.getLogger(__name__)


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    """ASGI's lifespan protocol."""
    await receive()
    hub_of_this_process().start()
    logger.info("The web process has begun")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await hub_of_this_process().close()
    logger.info("The web process ends")
    await send({"type": "lifespan.shutdown.complete"})

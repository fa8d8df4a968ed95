"""The hub begins with its process, so that operators see a process that has no socket yet, and ends with it."""

import logging
from typing import Any, Protocol

from apps.realtime.hub import hub_of_this_process

logger = logging.getLogger(__name__)


class Companion(Protocol):
    """What else lives as long as the web process; neither call blocks."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Lifespan:
    """ASGI's lifespan protocol."""

    def __init__(self, *companions: Companion) -> None:
        self._companions = companions

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        hub_of_this_process().start()
        for companion in self._companions:
            companion.start()
        logger.info("The web process has begun")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for companion in self._companions:
            companion.stop()
        await hub_of_this_process().close()
        logger.info("The web process ends")
        await send({"type": "lifespan.shutdown.complete"})

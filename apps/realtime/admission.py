"""How many sockets a process takes: one more is told to try again, before it costs a look into the database."""

from typing import Any

from django.conf import settings

from apps.realtime.connections import TRY_AGAIN_LATER
from apps.realtime.consumers import close_with
from apps.realtime.hub import hub_of_this_process


class Admission:
    """ASGI middleware, outermost: counts who is here or on the way in."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        connections = hub_of_this_process().connections
        if not connections.admit():
            reason = f"this process has its {settings.WEBSOCKET_MAX_CONNECTIONS} sockets; try again"
            await close_with(TRY_AGAIN_LATER, reason, receive, send)
            return
        try:
            await self.inner(scope, receive, send)
        finally:
            connections.leave()

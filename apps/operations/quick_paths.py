"""Health and metrics have threads of their own: those of all other requests may hang in the database together."""

from typing import Any

from a2wsgi import WSGIMiddleware

PATHS = frozenset(
    (
        "/health",
        "/metrics",
        "/operations/health",  # the dashboard's, as HTML
        *(f"/api/v1/sprint3/{part}/health" for part in ("system", "risk", "analytics")),
    )
)
# Each answers within 2 s, whatever hangs.
THREADS = 4


class QuickPaths:
    """ASGI middleware: `otherwise` gets what is none of them."""

    def __init__(self, over_wsgi: Any, otherwise: Any) -> None:
        self._quick: Any = WSGIMiddleware(over_wsgi, workers=THREADS)
        self._otherwise = otherwise

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        app = self._quick if (path.rstrip("/") or "/") in PATHS else self._otherwise
        await app(scope, receive, send)

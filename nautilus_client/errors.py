"""What can go wrong for good. What passes by itself (a server that restarts, a full one) is retried, not raised."""


class NautilusError(Exception):
    """The base of all that this client raises by itself."""


class AccessRefusedError(NautilusError):
    """The server does not take these credentials (4401), this client (4403) or this path (4404)."""

    def __init__(self, code: int, reason: str) -> None:
        """`code` is the close code of the socket, or the HTTP status of a handshake that was refused."""
        super().__init__(f"the server refused the connection ({code}): {reason or 'no reason given'}")
        self.code = code
        self.reason = reason


class RefusedError(NautilusError):
    """The server refused a subscription; `code` is its word for the reason, e.g. `not_found` or `invalid_filter`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class UnreachableError(NautilusError):
    """As many attempts in a row as were allowed have failed."""


class HistoryLostError(NautilusError):
    """A task's messages cannot be read from their beginning any more; GET /api/v1/tasks/{id} knows how it ended."""


class ClientClosedError(NautilusError):
    """The client was closed, or not entered with `with` yet."""


class BadFrameError(NautilusError):
    """The server sent what the protocol does not know; the client connects anew."""

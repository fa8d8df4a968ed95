"""When to come back, where to, and when coming back is of no use."""

import random
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus

from nautilus_client.errors import AccessRefusedError

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.2, 10.0
SOCKET_PATH = "/ws"
UNAUTHENTICATED = 4401
FINAL_CLOSE_CODES = (UNAUTHENTICATED, 4403, 4404)
FINAL_STATUSES = (401, 403, 404)
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class Backoff:
    """Full jitter: a random delay up to a bound that doubles with each failure; many clients do not come at once.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    def __init__(self, first_seconds: float, last_seconds: float) -> None:
        self.first_seconds = first_seconds
        self.last_seconds = last_seconds
        self.failures = 0

    def reset(self) -> None:
        self.failures = 0

    def next_delay_seconds(self) -> float:
        # The exponent has a bound as well: after a day of failures 2.0**n would not be a float any more.
        bound = min(self.last_seconds, self.first_seconds * 2.0 ** min(self.failures, 60))
        self.failures += 1
        return random.uniform(0, bound)  # noqa: S311 - it spreads clients, it hides nothing


def socket_urls(url: str | Sequence[str]) -> list[str]:
    """The sockets of servers: `http://host:8001`, `ws://host:8001` and `ws://host:8001/ws` are the same one."""
    urls = [url] if isinstance(url, str) else list(url)
    if not urls:
        raise ValueError("there is no address to connect to; expected e.g. 'ws://localhost:8001'")
    return [_socket_url(one) for one in urls]


def _socket_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError(f"{url!r} is no address of a server; expected e.g. 'ws://localhost:8001'")
    path = parts.path.rstrip("/")
    path = path if path.endswith(SOCKET_PATH) else path + SOCKET_PATH
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, parts.query, ""))


def refusal_in(error: Exception) -> AccessRefusedError | None:
    """What the server will say again, however often it is asked."""
    if isinstance(error, ConnectionClosed) and error.rcvd and error.rcvd.code in FINAL_CLOSE_CODES:
        return AccessRefusedError(error.rcvd.code, error.rcvd.reason)
    if isinstance(error, InvalidStatus) and error.response.status_code in FINAL_STATUSES:
        return AccessRefusedError(error.response.status_code, error.response.reason_phrase)
    return None

"""The asyncio client: one connection, kept up, for all its subscriptions."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from nautilus_client.connection import Connection
from nautilus_client.errors import (
    AccessRefusedError,
    BadFrameError,
    ClientClosedError,
    HistoryLostError,
    NautilusError,
    UnreachableError,
)
from nautilus_client.items import Gap
from nautilus_client.place import covers
from nautilus_client.reconnecting import (
    FIRST_RETRY_SECONDS,
    LAST_RETRY_SECONDS,
    UNAUTHENTICATED,
    Backoff,
    refusal_in,
    socket_urls,
)
from nautilus_client.subscription import Subscription

QUEUE_SIZE = 1_000
CLOSE_SECONDS = 2.0
# Above what a result with every price of a large book needs; a frame over it would come again after each connection.
MAX_FRAME_BYTES = 64 * 2**20
HEARTBEAT_SECONDS = 20.0

Secret = str | Callable[[], str] | Callable[[], Awaitable[str]]

logger = logging.getLogger(__name__)


class CredentialsUnavailableError(NautilusError):
    """The callable that fetches a token or a ticket failed; it is called again for the next attempt."""


class AsyncClient:
    """Follows topics of a server over one WebSocket, which is opened anew whenever it breaks.

    After a break every topic goes on from its last message. Where the server cannot bring back what was missed, the
    subscription gives a Gap in that place.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        *,
        token: Secret | None = None,
        ticket: Secret | None = None,
        retries: int | None = None,
        first_retry_seconds: float = FIRST_RETRY_SECONDS,
        last_retry_seconds: float = LAST_RETRY_SECONDS,
        queue_size: int = QUEUE_SIZE,
        proxy: str | None = None,
    ) -> None:
        """`url`: `ws://host:port`, or several: after a failure the next one is tried.

        `token`, a bearer token, or `ticket`, from /api/v1/auth/ws-ticket: the text, or a callable (also an async one)
        that fetches it for each connection; a ticket is good for one connection, so it has to be a callable. Without
        both, the server must take the client as its local operator.
        `retries`: attempts in a row that may fail before UnreachableError; without it, no limit.
        `queue_size`: items that may wait in each subscription.
        `proxy`: an HTTP or SOCKS proxy; without it none, whatever the environment names.
        """
        if queue_size < 1:
            raise ValueError(f"queue_size is {queue_size}; expected 1 or more, the items that may wait")
        self._urls = socket_urls(url)
        self._token = token
        self._ticket = ticket
        self._retries = retries
        self._backoff = Backoff(first_retry_seconds, last_retry_seconds)
        self._queue_size = queue_size
        self._proxy = proxy
        self._attempts = 0
        self._has_heard = False  # on the latest connection
        self._subscriptions: dict[str, Subscription] = {}
        self._connection: Connection | None = None
        self._running: asyncio.Task[None] | None = None
        self._ended: Exception | None = ClientClosedError("the client is not open; use it in 'async with' or 'with'")

    async def __aenter__(self) -> Self:
        """Begins to connect, and does not wait for it: a subscription waits for its server."""
        self._ended = None
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        if self._running:
            self._running.cancel()
            await asyncio.wait([self._running])
        self._ended = self._ended or ClientClosedError("the client was closed")
        for subscription in list(self._subscriptions.values()):
            subscription.close()

    # --- What one follows -----------------------------------------------------------------------------
    def subscribe(
        self,
        topic: str,
        *,
        filters: Mapping[str, Any] | None = None,
        batch: bool = False,
        since: int | None = None,
        epoch: str | None = None,
    ) -> Subscription:
        """A topic, or all topics that begin alike (`risk:alerts:*`). `async with` waits until the server follows it.

        `filters`: what the data must be, e.g. `{"severity": "critical"}` or `{"var": {"gt": 1000}}`.
        `batch`: the server sends messages in batches, which costs less for many messages and comes later.
        `since`, `epoch`: go on after this seq, e.g. that of the last Message of an earlier run; 0: all that there is.
        """
        return Subscription(
            self, topic, filters=filters, batch=batch, since=since, epoch=epoch, queue_size=self._queue_size
        )

    async def wait_for_task(self, task_id: str, timeout: float | None = None) -> dict[str, Any]:
        """What `GET /api/v1/tasks/{task_id}` says once the task has ended. Raises TimeoutError, RefusedError.

        A result of over 256 KiB is not pushed: `result` is None then, and `result_url` says where it is.
        HistoryLostError: the task ended longer ago than the server keeps messages; ask the REST API. Of one that ended
        over a day ago nothing is heard at all, so give a timeout.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._end_of_task(task_id)
        except TimeoutError as error:
            raise TimeoutError(f"task {task_id} had not ended after {timeout} s") from error

    async def _end_of_task(self, task_id: str) -> dict[str, Any]:
        async with self.subscribe(f"tasks:{task_id}", since=0) as changes:
            async for change in changes:
                if isinstance(change, Gap):
                    raise HistoryLostError(f"task {task_id}: {change.reason}; GET /api/v1/tasks/{task_id} says more")
                if change.data["status"] != "processing":
                    return dict(change.data)
        raise ClientClosedError(f"the client was closed while task {task_id} was waited for")

    # --- What a subscription needs --------------------------------------------------------------------
    def register(self, subscription: Subscription) -> None:
        if self._ended:
            raise self._ended
        for topic in self._subscriptions:
            _check_apart(topic, subscription.topic)
        self._subscriptions[subscription.topic] = subscription

    def ask(self, subscription: Subscription) -> None:
        if self._connection:
            self._connection.ask(subscription)

    def leave(self, subscription: Subscription) -> None:
        if self._connection and self._subscriptions.get(subscription.topic) is subscription:
            self._connection.leave(subscription)

    def forget(self, subscription: Subscription) -> None:
        if self._subscriptions.get(subscription.topic) is subscription:
            del self._subscriptions[subscription.topic]
            for other in self._subscriptions.values():
                other.hear_of_end(subscription.topic)

    # --- The connection -------------------------------------------------------------------------------
    async def _run(self) -> None:
        try:
            while True:
                await self._connect_and_read()
        except NautilusError as error:
            self._fail(error)
        except Exception as error:  # a mistake in the client must reach who waits, not only the log
            logger.exception("The client stumbled")
            self._fail(error)

    async def _connect_and_read(self) -> None:
        url = self._urls[self._attempts % len(self._urls)]
        self._attempts += 1
        try:
            await self._read_from(url)
        except (OSError, WebSocketException, BadFrameError, CredentialsUnavailableError) as error:
            delay_seconds = self._delay_seconds(url, error)
            level = logging.WARNING if isinstance(error, BadFrameError) else logging.INFO
            logger.log(level, "%s: %r; again in %.1f s", url, error, delay_seconds)
            await asyncio.sleep(delay_seconds)

    async def _read_from(self, url: str) -> None:
        address, headers = await self._credentials(url)
        async with connect(
            address,
            additional_headers=headers,
            proxy=self._proxy,
            max_size=MAX_FRAME_BYTES,
            close_timeout=CLOSE_SECONDS,
            ping_interval=HEARTBEAT_SECONDS,
            ping_timeout=HEARTBEAT_SECONDS,
        ) as socket:
            await self._follow(Connection(socket, self._subscriptions))

    async def _follow(self, connection: Connection) -> None:
        self._connection = connection
        try:
            await connection.run()
        finally:
            self._connection = None
            self._has_heard = connection.has_heard
            if self._has_heard:
                self._backoff.reset()

    async def _credentials(self, url: str) -> tuple[str, dict[str, str]]:
        token, ticket = await _fetch(self._token), await _fetch(self._ticket)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        separator = "&" if "?" in url else "?"
        return (f"{url}{separator}{urlencode({'ticket': ticket})}" if ticket else url), headers

    def _delay_seconds(self, url: str, error: Exception) -> float:
        """How long to wait; raises where coming back is of no use, or not wanted any more."""
        if (refusal := refusal_in(error)) and not self._may_renew(refusal):
            raise refusal from error
        delay_seconds = self._backoff.next_delay_seconds()
        if self._retries is not None and self._backoff.failures > self._retries:
            said = f"{self._backoff.failures} attempts in a row failed, the last one at {url}: {error!r}"
            raise UnreachableError(said) from error
        return delay_seconds

    def _may_renew(self, refusal: AccessRefusedError) -> bool:
        """Whether credentials that were good may have expired, and new ones can be fetched."""
        return refusal.code == UNAUTHENTICATED and self._has_heard and (callable(self._token) or callable(self._ticket))

    def _fail(self, error: Exception) -> None:
        self._ended = error
        for subscription in list(self._subscriptions.values()):
            subscription.fail(error)


async def _fetch(secret: Secret | None) -> str | None:
    """The secret itself. A callable that blocks does so in a thread."""
    if secret is None or isinstance(secret, str):
        return secret
    try:
        if inspect.iscoroutinefunction(secret):
            return str(await secret())
        return str(await asyncio.to_thread(secret))
    except Exception as error:
        # Whatever it raises: it mostly asks the very server that is being restarted.
        raise CredentialsUnavailableError(f"the token or ticket could not be fetched: {error!r}") from error


def _check_apart(topic: str, new: str) -> None:
    """The server sends a message once to a socket, and does not say for which of two patterns."""
    if topic == new:
        raise ValueError(f"{new!r} is subscribed to already; close that subscription first, or use a second client")
    if topic.endswith("*") and new.endswith("*") and (covers(topic, new) or covers(new, topic)):
        raise ValueError(f"the patterns {topic!r} and {new!r} overlap; use a second client for one of them")

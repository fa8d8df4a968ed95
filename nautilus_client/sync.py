"""The same for programs without asyncio: an event loop in a thread of its own runs an AsyncClient."""

import asyncio
import threading
from collections import deque
from collections.abc import Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, Self, TypeVar

from nautilus_client.client import AsyncClient
from nautilus_client.errors import ClientClosedError
from nautilus_client.items import Item
from nautilus_client.subscription import Subscription

T = TypeVar("T")


class Client:
    """`with Client(url) as client: for item in client.subscribe(topic): ...`. Takes what AsyncClient takes.

    Several threads may use it at once, each with a subscription of its own.
    """

    def __init__(self, url: str | list[str], **options: Any) -> None:
        self._client = AsyncClient(url, **options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        # Nothing is handed in to a loop that was taken away: it would never run, and who waits for it would for ever.
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_run, args=[self._loop], name="nautilus-client", daemon=True)
        self._thread.start()
        self._wait(self._client.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with suppress(ClientClosedError):
            self._wait(self._client.aclose())
        with self._lock:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop and thread:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def subscribe(
        self,
        topic: str,
        *,
        filters: Mapping[str, Any] | None = None,
        batch: bool = False,
        since: int | None = None,
        epoch: str | None = None,
    ) -> "SyncSubscription":
        """As AsyncClient.subscribe. Starts at once; raises RefusedError where the server refuses."""
        options: dict[str, Any] = {"filters": filters, "batch": batch, "since": since, "epoch": epoch}
        subscription = self._client.subscribe(topic, **options)
        self._wait(subscription.start())
        return SyncSubscription(subscription, self)

    def wait_for_task(self, task_id: str, timeout: float | None = None) -> dict[str, Any]:
        """As AsyncClient.wait_for_task."""
        return self._wait(self._client.wait_for_task(task_id, timeout))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        waiting = self._hand_in(work)
        try:
            return waiting.result()
        except CancelledError as error:
            raise ClientClosedError("the client was closed") from error
        finally:
            waiting.cancel()  # where Ctrl-C ended the waiting

    def _hand_in(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        with self._lock:
            if self._loop is not None:
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise ClientClosedError("the client is not open; use it in 'with'")


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """All in the thread: the one that closes the client may have a running loop of its own, as in a notebook."""
    loop.run_forever()
    loop.run_until_complete(_end_what_is_left())
    loop.close()


async def _end_what_is_left() -> None:
    """What other threads handed in at the last moment runs, and ends: they wait for it."""
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class SyncSubscription:
    """A topic's items, in order: `for` reads it, the end of `with` or `close()` leaves the topic."""

    def __init__(self, subscription: Subscription, client: Client) -> None:
        self.topic = subscription.topic
        self._subscription = subscription
        self._client = client
        self._taken: deque[Item] = deque()

    @property
    def position(self) -> tuple[int | None, str | None]:
        """As Subscription.position."""
        return self._subscription.position

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        item = self.receive()
        if item is None:
            raise StopIteration
        return item

    def receive(self, timeout: float | None = None) -> Item | None:
        """The next item; None when the subscription was closed. Raises TimeoutError where none comes in time."""
        if not self._taken:
            # All at once: each change between threads costs more than a message does.
            with suppress(ClientClosedError):
                self._client._wait(self._take_all(timeout))
        return self._taken.popleft() if self._taken else None

    async def _take_all(self, timeout: float | None) -> None:
        """Keeps them from the loop's thread: where Ctrl-C ends the waiting, they come with the next call."""
        if not self._taken:
            async with asyncio.timeout(timeout):
                self._taken.extend(await self._subscription.take_all())

    def close(self) -> None:
        """Leaves the topic; what was read from the socket already can still be taken."""

        async def leave() -> None:
            self._subscription.close()

        with suppress(ClientClosedError):
            self._client._wait(leave())

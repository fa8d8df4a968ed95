"""Of several processes with the same feed one plays, the others wait: a lock in Redis that runs out by itself."""

import logging
import secrets
import threading
from types import TracebackType
from typing import Self

from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

LEASE_SECONDS = 6.0

logger = logging.getLogger(__name__)


class FeedLease:
    """Held from `wait` on, renewed by a thread inside `with`. `lost` says that another process may play now."""

    def __init__(self, name: str, client: Redis, seconds: float = LEASE_SECONDS) -> None:
        self._name = name
        self._seconds = seconds
        # thread_local=False: the thread that renews is not the one that acquired.
        self._lock = Lock(client, f"market:feed:{name}", timeout=seconds, thread_local=False)
        self._token = secrets.token_hex(8)
        self.lost = False

    def wait(self, stop: threading.Event) -> bool:
        """True once the lease is held, False where it is to stop before that."""
        said = False
        while not stop.is_set():
            if self._acquired():
                self.lost = False
                return True
            if not said:
                logger.info("The feed '%s' waits: another process plays it, or Redis is away", self._name)
                said = True
            stop.wait(self._seconds / 6)
        return False

    def __enter__(self) -> Self:
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{self._name}", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._thread.join()
        try:
            self._lock.release()
        except (LockError, RedisError) as problem:
            logger.info("The lease of the feed '%s' was not given back: %s", self._name, problem)

    def _keep(self) -> None:
        while not self._released.wait(self._seconds / 3):
            self.lost = not self._renewed()
            if self.lost:
                return

    def _renewed(self) -> bool:
        try:
            return bool(self._lock.reacquire())
        except LockError:
            # It ran out during an outage, or Redis was wiped. Where nobody took it, it is ours again.
            return self._acquired()
        except RedisError as error:
            # Nothing can be sent either; who holds it is decided when Redis is back.
            logger.debug("The lease of the feed '%s' was not renewed: %s", self._name, error)
            return True

    def _acquired(self) -> bool:
        try:
            return self._lock.acquire(blocking=False, token=self._token)
        except RedisError:
            return False

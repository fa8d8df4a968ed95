"""Holds the locks of answers while they are computed: who dies stops renewing, and another follows."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from nautilus.cache.store import AwayError, Lock, renew

logger = logging.getLogger(__name__)


class Renewals:
    """One thread a process renews all of its locks; it is started with the first and stays.

    One a lock would be started and ended for every answer, which takes longer than many an answer.
    """

    def __init__(self) -> None:
        self._changes = threading.Lock()
        self._held: dict[Lock, float] = {}
        self._some = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def hold(self, lock: Lock) -> Iterator[None]:
        """For no longer than a task may take: a computation that hangs must not hold up the others for ever."""
        with self._changes:
            self._held[lock] = time.monotonic() + settings.CELERY_TASK_TIME_LIMIT
            self._start()
        try:
            yield
        finally:
            with self._changes:
                self._held.pop(lock, None)

    def _start(self) -> None:
        self._some.set()
        # Of a process that was forked the thread is not there any more.
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._keep, name="cache-locks", daemon=True)
            self._thread.start()

    def _keep(self) -> None:
        while self._some.wait():
            time.sleep(settings.CACHE_LOCK_SECONDS / 3)
            for lock in self._due():
                self._renew(lock)

    def _due(self) -> list[Lock]:
        now = time.monotonic()
        with self._changes:
            self._held = {lock: until for lock, until in self._held.items() if now < until}
            if not self._held:
                self._some.clear()
            return list(self._held)

    def _renew(self, lock: Lock) -> None:
        try:
            mine = renew(lock)
        except AwayError:
            logger.debug("The lock of %s could not be renewed; its answer is computed all the same", lock.key)
            return
        if not mine:
            with self._changes:
                self._held.pop(lock, None)

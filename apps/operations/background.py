"""A function in a thread of its own, which may hang there without holding up anybody."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Generic, TypeVar

from django.db import connections

from apps.operations.blame import waits_for

T = TypeVar("T")


class Run(Generic[T]):
    """A function under way in a thread of its own, which closes its database connection at its end."""

    def __init__(self, name: str, function: Callable[[], T], at_end: Callable[[], object] = lambda: None) -> None:
        self.began = time.monotonic()
        self.began_at = datetime.now(UTC)
        self.answer: T | None = None
        self.error: Exception | None = None
        self._seconds: float | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._carry_out, args=(function, at_end), name=name, daemon=True)

    def start(self) -> bool:
        """Whether it is under way: where the machine has no thread left, that is the run's error, and it has ended."""
        try:
            self._thread.start()
        except RuntimeError as error:
            self.error = error
            self._seconds = time.monotonic() - self.began
            self._ended.set()
            return False
        return True

    def has_ended(self, within_seconds: float) -> bool:
        """Waits until so long after its beginning."""
        return self._ended.wait(max(self.began + within_seconds - time.monotonic(), 0.0))

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self.began if self._seconds is None else self._seconds

    @property
    def waits_for(self) -> str | None:
        """The store that it waits for at this moment, where it does."""
        return waits_for(self._thread.ident)

    def _carry_out(self, function: Callable[[], T], at_end: Callable[[], object]) -> None:
        try:
            self.answer = function()
        except Exception as error:
            self.error = error
        finally:
            self._seconds = time.monotonic() - self.began
            self._end(at_end)

    def _end(self, at_end: Callable[[], object]) -> None:
        """From the last to the first, each also where another one raises: who waits for the end must see it."""
        with ExitStack() as steps:
            steps.callback(self._ended.set)
            steps.callback(at_end)
            steps.callback(connections.close_all)

"""One computation of a key at a time in a process: the threads that come meanwhile wait for its answer."""

import threading
from dataclasses import dataclass, field
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded

WAIT_SLICE_SECONDS = 1.0


@dataclass(slots=True)
class Flight:
    """`landed` is what the leader got; None where the others have to ask again. `error`: what it raised, for all."""

    owner: int = field(default_factory=threading.get_ident)
    followers: int = 0
    landed: Any = None
    error: Exception | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> Any:
        while not self.over.wait(WAIT_SLICE_SECONDS):
            """In slices: a thread that is told to stop notices it between two of them."""
        if self.error is not None:
            raise self.error
        return self.landed


class Flights:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Flight] = {}

    def join(self, key: str) -> tuple[Flight, bool]:
        """The flight of a key, and whether the caller leads it: whoever does must end it."""
        with self._lock:
            flight = self._open.get(key)
            if flight is None:
                flight = self._open[key] = Flight()
                return flight, True
            flight.followers += flight.owner != threading.get_ident()
            return flight, False

    def end(self, key: str, flight: Flight, landed: Any = None, error: BaseException | None = None) -> int:
        """Wakes those who follow, and returns how many they are."""
        with self._lock:
            self._open.pop(key, None)
        flight.landed = landed
        flight.error = error if isinstance(error, Exception) and not _stops_one_caller(error) else None
        flight.over.set()
        return flight.followers


def _stops_one_caller(error: Exception) -> bool:
    """A call that was stopped from outside says nothing about the next one."""
    return isinstance(error, SoftTimeLimitExceeded) or getattr(error, "stops_one_caller", False)

"""When to send what: rows that each have their moment, in steps that a processor does not feel."""

import time
from collections.abc import Iterator
from threading import Event

import numpy as np

from apps.portfolios.quotes import US, FloatArray, IntArray

# More calls a second than this bring nothing: readers look every 250 ms.
STEP_SECONDS = 0.01


def due_rows(offsets_seconds: FloatArray, stop: Event, begun: float | None = None) -> Iterator[slice]:
    """The rows, in order, each when it is due: `offsets_seconds` (rows,), rising, after `begun` on the monotonic clock.

    What fell due while the reader was busy comes in one slice. Ends where `stop` is set.
    """
    begun = time.monotonic() if begun is None else begun
    sent = 0
    while sent < len(offsets_seconds):
        if stop.wait(max(begun + offsets_seconds[sent] - time.monotonic(), STEP_SECONDS)):
            return
        until = int(np.searchsorted(offsets_seconds, time.monotonic() - begun, side="right"))
        if until > sent:
            yield slice(sent, until)
            sent = until


def timestamps_now(count: int) -> IntArray:
    """The wall clock for each of a batch, (count,); a microsecond apart, as none may be as old as the one before."""
    return time.time_ns() * US // 10**9 + np.arange(count)

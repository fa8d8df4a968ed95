"""Ending a process that works in a loop, when a signal says so."""

import signal
import threading
from collections.abc import Callable

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def on_stop_signals(stop: Callable[[], object]) -> None:
    """`stop` is called by a thread: it sets an Event, and the signal may find the main thread inside of that Event's
    `wait`, with the lock that `set` waits for."""
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: threading.Thread(target=stop).start())

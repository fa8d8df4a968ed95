"""The life of a sandbox's process: import, lock, read the strategy, then answer calls until the pipe is closed."""

import os
import sys
from collections.abc import Callable
from typing import Any

from .frames import Frame, pack, read_frame, write_frame
from .lock import UnlockableError, lock
from .printed import Printed
from .strategy import Strategy, as_raised
from .warm import import_modules
from .watch import install

STDIN, STDOUT = 0, 1
RESERVE_BYTES = 1 << 20
FAULT = 70  # EX_SOFTWARE of sysexits.h


def main() -> None:
    """An error of the start shows on standard error as usual; after the lock there is nowhere to show one."""
    life = Life(os._exit)
    life.lock(read_frame(STDIN))
    try:
        life.live()
    except EOFError:
        os._exit(0)  # the parent has left
    except MemoryError:
        write_frame(STDOUT, {"kind": "limit", "which": "memory"})
    finally:
        os._exit(FAULT)


class Life:
    def __init__(self, leave: Callable[[int], Any]) -> None:
        self._leave = leave
        self._printed = Printed()
        self._reserve: bytearray | None = bytearray(RESERVE_BYTES)

    def live(self) -> None:
        strategy = self._load(read_frame(STDIN))
        while True:
            self._serve(read_frame(STDIN), strategy)

    def lock(self, frame: Frame) -> None:
        import_modules(frame.header["modules"])
        from .prices import Prices  # needs pandas, which import_modules has its own way to import

        self._new_prices = Prices
        try:
            lock(frame.header, frame.payload)
        except (UnlockableError, OSError, ValueError) as error:
            write_frame(STDOUT, {"kind": "unlockable", "why": str(error)})
            self._leave(1)
        sys.stdin = None
        self._printed.take_over()
        install(self._forbidden)
        write_frame(STDOUT, {"kind": "locked"})

    def _load(self, frame: Frame) -> Strategy | None:
        self._output_bytes = frame.header["output_bytes"]
        self._prices = self._new_prices(frame.header["symbols"], frame.header["history_days"])
        try:
            strategy = Strategy(frame.header["code"], frame.header["params"], self._forbidden)
        except BaseException as error:
            write_frame(STDOUT, as_raised(error))
            return None
        write_frame(STDOUT, {"kind": "loaded"})
        return strategy

    def _serve(self, frame: Frame, strategy: Strategy | None) -> None:
        if frame.header["kind"] == "rows":
            self._append(frame.header["days"], frame.payload)
        elif strategy is not None:
            self._answer(strategy)

    def _append(self, days: int, payload: bytes) -> None:
        """The payload: `days` int64 counts of days since 1970, then days x symbols float64, both as the machine has."""
        import numpy as np

        dates = np.frombuffer(payload, dtype=np.int64, count=days).astype("datetime64[D]")
        self._prices.append(dates, np.frombuffer(payload, dtype=np.float64, offset=8 * days).reshape(days, -1))

    def _answer(self, strategy: Strategy) -> None:
        self._reserve = self._reserve or bytearray(RESERVE_BYTES)
        try:
            header = self._within_output(strategy.call(self._prices.frame()))
        except BaseException as error:
            self._reserve = None  # room to say that there is no more
            header = as_raised(error)
        write_frame(STDOUT, {**header, "printed": self._printed.take()})

    def _within_output(self, header: dict[str, Any]) -> dict[str, Any]:
        size = len(pack(header))
        return header if size <= self._output_bytes else {"kind": "limit", "which": "output", "value": size}

    def _forbidden(self, what: str) -> None:
        write_frame(STDOUT, {"kind": "forbidden", "what": what, "printed": self._printed.take()})
        self._leave(1)

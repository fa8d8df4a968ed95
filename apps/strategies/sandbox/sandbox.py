"""A strategy in a process of its own: prices in, weights out, and nothing else (docs/sandbox.md)."""

import os
import pwd
import signal
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from apps.strategies.sandbox.answers import Answer, checked_weights
from apps.strategies.sandbox.code_rules import imported_modules
from apps.strategies.sandbox.endings import error_of_ending, error_of_frame, error_of_start, printed_of
from apps.strategies.sandbox.errors import ForbiddenError, LimitExceededError, SandboxError, SandboxUnavailableError
from apps.strategies.sandbox.filter import filter_program
from apps.strategies.sandbox.inside.allowed import is_allowed
from apps.strategies.sandbox.inside.frames import Frame, pack
from apps.strategies.sandbox.limits import Limits
from apps.strategies.sandbox.process import EndedError, GarbledError, Process, TookTooLongError, TooLargeError

START_SECONDS = 60.0
END_SECONDS = 5.0
FRAME_MARGIN_BYTES = 1 << 17  # for what was printed and the frame's own words


class Sandbox:
    """`with Sandbox(code, params, symbols, limits) as sandbox:` starts it, and leaving ends it, however that happens.

    The code is not checked against the rules here (code_rules.py): callers do, and the boundary does not rely on it.
    After StrategyRaisedError and BadWeightsError it goes on; after any other SandboxError it has ended.
    """

    def __init__(self, code: str, params: dict[str, Any], symbols: Sequence[str], limits: Limits) -> None:
        self._code, self._params, self._symbols, self._limits = code, params, list(symbols), limits
        self._known = frozenset(symbols)
        self._process: Process | None = None

    def __enter__(self) -> Self:
        """Raises SandboxUnavailableError, or StrategyRaisedError where the code is no Python."""
        program = self._program()
        try:
            self._lock(self._start(), program)
            self._load()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self) -> Process:
        """Holds signals back, so that no handler raises between the fork and the note of its pid.

        Where other threads of this process take the signal, one may all the same: the sandbox then ends by itself at
        the end of its pipe, and its entry in the process table stays until this process ends.
        """
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._process = process = Process()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return process

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        finally:  # a task's soft time limit may come in the middle of it
            self.close()

    def close(self) -> None:
        """Ends the process and waits for it; may be called again."""
        if self._process is not None:
            self._process.end()
            self._process = None

    @property
    def pid(self) -> int:
        return self._running().pid

    def feed(self, dates: npt.ArrayLike, closes: npt.ArrayLike) -> None:
        """Appends days: `dates` (n,) datetime64[D], `closes` (n, symbols) float64, NaN where there is no price.

        Only what has been fed is ever in the sandbox's memory: feed no day before it is due. Raises ValueError for
        other shapes.
        """
        days = np.asarray(dates, dtype="datetime64[D]")
        rows = np.ascontiguousarray(closes, dtype=np.float64)
        if days.ndim != 1 or rows.shape != (len(days), len(self._symbols)):
            raise ValueError(
                f"closes are {rows.shape}; {len(days)} dates and {len(self._symbols)} symbols want "
                f"({len(days)}, {len(self._symbols)})"
            )
        days, rows = days[-self._limits.history_days :], rows[-self._limits.history_days :]
        self._send({"kind": "rows", "days": len(days)}, days.astype(np.int64).tobytes() + rows.tobytes())

    def target_weights(self) -> Answer:
        """Calls the strategy on what was fed. Raises one of errors.py."""
        if self._has_more():
            raise self._stopped(ForbiddenError("to write to the pipe of its answers by itself"))
        began = time.perf_counter()
        self._send({"kind": "call"})
        header = self._answer().header
        if header["kind"] != "answer":
            error = error_of_frame(header, self._limits)
            raise error if header["kind"] == "raised" else self._stopped(error)
        return self._checked(header, time.perf_counter() - began)

    def _checked(self, header: dict[str, Any], seconds: float) -> Answer:
        try:
            return Answer(checked_weights(header, self._known), printed_of(header), seconds)
        except SandboxError as error:
            error.printed = printed_of(header)
            raise

    def _program(self) -> bytes:
        try:
            return filter_program()
        except SandboxUnavailableError:
            if _may_do_without(self._limits):
                return b""
            raise

    def _lock(self, process: Process, program: bytes) -> None:
        modules = [name for name in imported_modules(self._code) if is_allowed(name)]
        header = {"kind": "lock", "parent": os.getpid(), "modules": modules, **_user(self._limits.user)}
        header |= {"filter_optional": _may_do_without(self._limits)}
        header |= {"cpu_seconds": self._limits.cpu_seconds, "memory_bytes": self._limits.memory_bytes}
        try:
            process.send(pack(header, program), START_SECONDS)
            answer = process.receive(START_SECONDS, FRAME_MARGIN_BYTES).header
        except EndedError:
            raise error_of_start(process.wait(END_SECONDS)) from None
        except TookTooLongError:
            raise SandboxUnavailableError(
                f"The sandbox's process did not start within {START_SECONDS:g} s.", "Try again when there is less load."
            ) from None
        if answer["kind"] != "locked":
            raise SandboxUnavailableError(
                f"The sandbox cannot be locked: {answer.get('why')}.",
                "docs/sandbox.md says what the kernel must offer, and how to check it.",
            )

    def _load(self) -> None:
        header = {"kind": "strategy", "code": self._code, "params": self._params, "symbols": self._symbols}
        limits = {"history_days": self._limits.history_days, "output_bytes": self._limits.output_bytes}
        self._send(header | limits)
        answer = self._answer().header
        if answer["kind"] != "loaded":
            raise error_of_frame(answer, self._limits)

    def _running(self) -> Process:
        if self._process is None:
            raise SandboxUnavailableError("This sandbox has ended.", "Start another one.")
        return self._process

    def _has_more(self) -> bool:
        process = self._running()
        try:
            return process.has_more()
        except EndedError:
            raise self._ended(process) from None

    def _send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        process = self._running()
        try:
            process.send(pack(header, payload), self._limits.wall_seconds)
        except EndedError:
            raise self._ended(process) from None
        except TookTooLongError:
            raise self._stopped(LimitExceededError("time", self._limits.wall_seconds)) from None

    def _answer(self) -> Frame:
        process = self._running()
        try:
            return process.receive(self._limits.wall_seconds, self._limits.output_bytes + FRAME_MARGIN_BYTES)
        except EndedError:
            raise self._ended(process) from None
        except TookTooLongError:
            raise self._stopped(LimitExceededError("time", self._limits.wall_seconds)) from None
        except TooLargeError:
            raise self._stopped(LimitExceededError("output", self._limits.output_bytes)) from None
        except GarbledError:
            raise self._stopped(ForbiddenError("to write to the pipe of its answers by itself")) from None

    def _ended(self, process: Process) -> SandboxError:
        return self._stopped(error_of_ending(process.wait(END_SECONDS), self._limits))

    def _stopped(self, error: SandboxError) -> SandboxError:
        self.close()
        return error


def _may_do_without(limits: Limits) -> bool:
    """Whether the setting may stand in for the filter: as root there would be nothing else around a strategy."""
    return limits.allow_without_seccomp and (os.geteuid() != 0 or bool(limits.user))


def _user(name: str) -> dict[str, int | None]:
    """The ids to take on: none where the platform does not run as root, and so cannot."""
    if os.geteuid() != 0 or not name:
        return {"uid": None, "gid": None}
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise SandboxUnavailableError(
            f"NAUTILUS_SANDBOX_USER is '{name}', and this machine has no such user.",
            "Name one that is there, such as nobody.",
        ) from None
    return {"uid": entry.pw_uid, "gid": entry.pw_gid}

"""A sandbox's process as its parent holds it: started, spoken to with a deadline, ended and reaped whatever happens."""

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, cast

from apps.strategies.sandbox.inside.frames import HEAD, Frame, unpack

CHILD = Path(__file__).parent / "child.py"
READ_BYTES = 1 << 18
MESSAGE_BYTES = 2000

# Nothing of the platform's own environment: no address of a store, no secret. One thread, as the filter wants it.
ENVIRONMENT = {"LANG": "C.UTF-8"} | {
    f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL", "BLIS", "VECLIB", "NUMEXPR")
}


class TookTooLongError(Exception):
    """The deadline has passed."""


class EndedError(Exception):
    """The process has closed its pipe: it has ended, or is about to."""


class TooLargeError(Exception):
    """A frame is announced that is larger than is taken."""


class GarbledError(Exception):
    """What came is no frame."""


@dataclass(frozen=True, slots=True)
class Ending:
    """`exit_code` is negative for a signal; `message` what was written to standard error before the lock."""

    exit_code: int
    cpu_seconds: float
    message: str


class Process:
    """No thread, no file that is kept: two pipes, and a nameless file for what goes wrong at the start."""

    def __init__(self) -> None:
        self._ending: Ending | None = None
        self._received = bytearray()
        self._said = TemporaryFile()  # noqa: SIM115  closed in end()
        try:
            self._popen = subprocess.Popen(  # noqa: S603  our own file by our own Python
                [sys.executable, "-I", "-B", str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=self._said, env=ENVIRONMENT, cwd="/", start_new_session=True, close_fds=True, bufsize=0,
            )  # fmt: skip
        except BaseException:
            self._said.close()
            raise
        self._stdin, self._stdout = cast(IO[bytes], self._popen.stdin), cast(IO[bytes], self._popen.stdout)
        os.set_blocking(self._stdin.fileno(), False)
        os.set_blocking(self._stdout.fileno(), False)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def send(self, frame: bytes, seconds: float) -> None:
        """Raises TookTooLongError where the process does not take it in time, EndedError where it is gone."""
        deadline, left = time.monotonic() + seconds, memoryview(frame)
        while left:
            _wait(self._stdin.fileno(), select.POLLOUT, deadline)
            try:
                left = left[os.write(self._stdin.fileno(), left) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise EndedError from None

    def receive(self, seconds: float, most_bytes: int) -> Frame:
        """The next frame. Raises as `send`, TooLargeError before more than `most_bytes` are read, GarbledError."""
        deadline = time.monotonic() + seconds
        header_bytes, payload_bytes = HEAD.unpack(self._take(HEAD.size, deadline))
        if header_bytes + payload_bytes > most_bytes:
            raise TooLargeError
        text = self._take(header_bytes, deadline)
        try:
            return unpack(text, self._take(payload_bytes, deadline))
        except (ValueError, RecursionError) as error:
            raise GarbledError from error

    def has_more(self) -> bool:
        """Whether something was sent that nobody asked for. Raises EndedError where the process has ended."""
        if not self._received and _is_ready(self._stdout.fileno()):
            self._read()
        return bool(self._received)

    def end(self) -> Ending:
        """Kills the process where it still runs, and reaps it; a second time it says the same.

        Without the right to kill another user's process (CAP_KILL) its pipe is closed, at whose end it leaves by
        itself, and its limit on CPU time is the last word.
        """
        if self._ending is None:
            try:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)
            finally:
                self._stdin.close()
                self._ending = self._reap()
        return self._ending

    def wait(self, seconds: float) -> Ending:
        """As `end`, for a process that has closed its pipe: it may come to its own end first, which says more."""
        deadline = time.monotonic() + seconds
        while self._ending is None and time.monotonic() < deadline:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
                self._ending = self._reap()
            else:
                time.sleep(0.005)
        return self.end()

    def _take(self, count: int, deadline: float) -> bytes:
        while len(self._received) < count:
            _wait(self._stdout.fileno(), select.POLLIN, deadline)
            self._read()
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    def _read(self) -> None:
        try:
            part = os.read(self._stdout.fileno(), READ_BYTES)
        except BlockingIOError:
            return
        if not part:
            raise EndedError
        self._received += part

    def _reap(self) -> Ending:
        try:
            _, status, usage = os.wait4(self.pid, 0)
            self._popen.returncode = os.waitstatus_to_exitcode(status)
            cpu_seconds = usage.ru_utime + usage.ru_stime
        except ChildProcessError:  # somebody has reaped it before us
            self._popen.returncode, cpu_seconds = -signal.SIGKILL, 0.0
        message = b"" if self._said.closed else os.pread(self._said.fileno(), MESSAGE_BYTES, 0)
        for each in (self._stdin, self._stdout, self._said):
            each.close()
        return Ending(self._popen.returncode, cpu_seconds, message.decode("utf-8", "replace"))


def _wait(fd: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(fd, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TookTooLongError


def _is_ready(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))

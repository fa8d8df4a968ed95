"""What the end of a sandbox's process, or a frame of it that is no answer, means."""

import signal
from typing import Any

from apps.strategies.sandbox.errors import (
    ForbiddenError,
    LimitExceededError,
    SandboxError,
    SandboxUnavailableError,
    StrategyCrashedError,
    StrategyRaisedError,
)
from apps.strategies.sandbox.inside.printed import PRINTED_CHARACTERS
from apps.strategies.sandbox.limits import Limits
from apps.strategies.sandbox.process import Ending

WHAT_CHARACTERS = 300
MESSAGE_CHARACTERS = 500
LARGEST_LINE = 1_000_000


def error_of_ending(ending: Ending, limits: Limits) -> SandboxError:
    """Of a process that ended in the middle of a call."""
    if ending.exit_code == -signal.SIGSYS:
        return ForbiddenError("a forbidden system call")
    if ending.exit_code == -signal.SIGXCPU or _used_up(ending, limits):
        return LimitExceededError("cpu", limits.cpu_seconds)
    if ending.exit_code < 0:
        return StrategyCrashedError(f"signal {_signal_name(-ending.exit_code)}")
    return StrategyCrashedError(f"it left by itself with exit code {ending.exit_code}")


def error_of_start(ending: Ending) -> SandboxUnavailableError:
    last = (ending.message.strip().splitlines() or [f"exit code {ending.exit_code}"])[-1]
    return SandboxUnavailableError(
        f"The sandbox's process did not start: {clean(last, MESSAGE_CHARACTERS)}",
        "Check that numpy, pandas and scipy can be imported by the platform's Python with `python -I`.",
    )


def error_of_frame(header: dict[str, Any], limits: Limits) -> SandboxError:
    """Of a frame that says what went wrong. All in it may be the strategy's own invention."""
    error = _error_of_kind(header, limits)
    error.printed = printed_of(header)
    return error


def _error_of_kind(header: dict[str, Any], limits: Limits) -> SandboxError:
    kind = header["kind"]
    if kind == "raised":
        line = header.get("line")
        return StrategyRaisedError(
            clean(header.get("type"), 100), clean(header.get("message"), MESSAGE_CHARACTERS),
            line if type(line) is int and 0 < line < LARGEST_LINE else None,
        )  # fmt: skip
    if kind == "forbidden":
        return ForbiddenError(clean(header.get("what"), WHAT_CHARACTERS))
    if kind == "limit" and header.get("which") in ("memory", "output"):
        memory = header["which"] == "memory"
        return LimitExceededError(header["which"], limits.memory_bytes if memory else limits.output_bytes)
    return ForbiddenError("to write to the pipe of its answers by itself")


def printed_of(header: dict[str, Any]) -> str:
    return clean(header.get("printed", ""), 2 * PRINTED_CHARACTERS)


def clean(text: Any, most: int) -> str:
    """At most so many characters, and none that a log or PostgreSQL cannot take."""
    shown = str(text)[:most].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return shown.encode("utf-8", "replace").decode()


def _used_up(ending: Ending, limits: Limits) -> bool:
    """The hard limit kills a process that does not heed the soft one."""
    return ending.exit_code == -signal.SIGKILL and ending.cpu_seconds >= limits.cpu_seconds


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)

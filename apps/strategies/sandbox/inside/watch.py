"""Python's own view of what a strategy tries: an audit hook, which cannot be taken off, says it and ends the process.

It gives the message; the boundary is the kernel's, which stands where this is got around.
"""

import sys
from collections.abc import Callable
from typing import Any

from .allowed import STRATEGY_FILE

Report = Callable[[str], None]

# Beginnings of event names, from "Audit events table" of Python's documentation.
_WATCHED = (
    "_thread.start_new_thread",
    "code.__new__",
    "cpython.run_",
    "ctypes.",
    "fcntl.",
    "ftplib.",
    "http.",
    "marshal.load",
    "mmap.",
    "open",
    "os.",
    "pty.",
    "resource.",
    "setopencodehook",
    "shutil.",
    "signal.",
    "smtplib.",
    "socket.",
    "sqlite3.",
    "subprocess.",
    "sys.addaudithook",
    "syslog.",
    "tempfile.",
    "urllib.",
)
ARGUMENT_CHARACTERS = 80


class _Nowhere:
    """In the place of Python's finders, which would look through folders."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        raise ModuleNotFoundError(f"{name} is not there in the sandbox", name=name)


def install(report: Report) -> None:
    """`report` does not come back. Importing what is not loaded yet is an ordinary ImportError: pandas tries that."""
    sys.meta_path[:] = [_Nowhere()]

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_WATCHED) and not _is_own_code(event, arguments):
            report(f"{event}({_shown(arguments)})")

    sys.addaudithook(watch)


def _is_own_code(event: str, arguments: tuple[Any, ...]) -> bool:
    """Python looks for the line of a SyntaxError in the file that the code is named after; there is none."""
    return event == "open" and arguments[0] == STRATEGY_FILE


def _shown(arguments: tuple[Any, ...]) -> str:
    """The plain ones: a path, an address, a number; the repr of another object may be the strategy's own code."""
    plain = [value for value in arguments if type(value) in (str, bytes, int, tuple, list)]
    return ", ".join(_short(value) for value in plain)


def _short(value: Any) -> str:
    inner = value if type(value) in (str, bytes, int) else [each for each in value if type(each) in (str, bytes, int)]
    return repr(inner)[:ARGUMENT_CHARACTERS]

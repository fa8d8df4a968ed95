"""Who this process is among those that share the folder, and whether another one still lives.

A process holds a lock on a file of its own as long as it lives: that tells about processes in other containers too,
where a pid says nothing. POSIX locks belong to one process: a child made by fork does not hold its parent's.
"""

import fcntl
import os
import re
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
LIVE, LIVE_UNLOCKED = ".live", ".new"
ENDED = "ended.json"  # what those that have ended counted

_UNFIT = re.compile(r"[^A-Za-z0-9.-]+")


def counting_folder() -> Path | None:
    """Where the processes' files are; None where each counts for itself."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Path(folder) if folder else None


class Identity:
    """This process' name, `host-pid-start`, and its lock; made anew after a fork."""

    def __init__(self) -> None:
        self._pid = 0
        self._name = ""
        self._lock = -1

    def __call__(self) -> str:
        pid = os.getpid()
        if pid != self._pid:
            self._name = f"{_host()}-{pid}-{started_ticks(pid)}"
            self._pid = pid
            self._hold(self._name)
        return self._name

    def _hold(self, name: str) -> None:
        folder = counting_folder()
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"{name}{LIVE_UNLOCKED}"
        inherited, self._lock = self._lock, os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(folder / f"{name}{LIVE}")  # only now can anybody try the lock
        if inherited >= 0:
            with suppress(OSError):
                os.close(inherited)


@cache
def _host() -> str:
    """Without an underscore, by which prometheus_client takes the names of its files apart."""
    return _UNFIT.sub("-", socket.gethostname()) or "host"


def started_ticks(pid: int) -> int:
    """When the process began, in clock ticks since boot: a pid is given again, the two together are not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # no Linux: there a pid must do
        return 0
    return int(stat.rpartition(")")[2].split()[19])


def is_live(file: Path) -> bool:
    """Whether the process of a `.live` file still holds it; never to be asked about this process' own.

    To look at a file of its own would give up the lock: it ends with the first closing of the file.
    """
    try:
        with file.open("r+b") as opened:
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def forget_counted(folder: Path) -> None:
    """Deletes what processes have counted, for a start anew: our own files alone, whatever else lies there."""
    for pattern in (f"*{LIVE}", f"*{LIVE_UNLOCKED}", "*.db", ENDED):
        for file in folder.glob(pattern):
            file.unlink(missing_ok=True)


identity = Identity()

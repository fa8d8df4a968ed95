"""Takes away from this process what it does not need, for good: user, limits, system calls. Called once, after imports.

The order matters: limits and user first, since the filter allows neither prctl nor setrlimit afterwards.
"""

import ctypes
import errno
import os
import resource
import signal
from contextlib import suppress
from typing import Any

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
FILTER_STEP_BYTES = 8
FILES = 3  # standard input, output and error, all open already


class UnlockableError(Exception):
    """The process cannot be locked: nothing of a strategy may be run in it."""


def lock(terms: dict[str, Any], program: bytes) -> None:
    """`terms`: parent, uid and gid (or null), cpu_seconds, memory_bytes, filter_optional; `program`: the filter.

    Raises UnlockableError with what failed.
    """
    if (threads := len(os.listdir("/proc/self/task"))) != 1:
        raise UnlockableError(f"{threads} threads run where a filter holds for one")
    _offer_to_the_kernel()
    _close_others()
    if terms["uid"] is not None:
        _become(terms["uid"], terms["gid"])
    _die_with(terms["parent"])
    _limit(terms["cpu_seconds"], terms["memory_bytes"])
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    try:
        _filter(program)
    except UnlockableError:
        if not terms["filter_optional"]:
            raise


def _offer_to_the_kernel() -> None:
    """Where memory runs out, this process is ended, and not the worker that waits for it."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")


def _close_others() -> None:
    """Nothing is open but the two pipes; what libraries write to standard error goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd >= FILES:
            with suppress(OSError):  # the folder's own, closed by now
                os.close(fd)


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _die_with(parent: int) -> None:
    """The kernel forgets the death signal where the user changes: asked for here, after that."""
    _prctl(PR_SET_DUMPABLE, 0)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise UnlockableError("the process that started this sandbox has ended")


def _limit(cpu_seconds: int, memory_bytes: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = int(used.ru_utime + used.ru_stime) + 1 + cpu_seconds
    _set_limit(resource.RLIMIT_CPU, cpu, cpu + 1)
    _set_limit(resource.RLIMIT_AS, _present_bytes() + memory_bytes)
    # What is open stays so; also where one of the three is closed, no file and no socket takes its place.
    for none in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE):
        _set_limit(none, 0)


def _set_limit(which: int, soft: int, hard: int | None = None) -> None:
    highest = resource.getrlimit(which)[1]
    wanted = [soft, soft if hard is None else hard]
    resource.setrlimit(which, tuple(w if highest == resource.RLIM_INFINITY else min(w, highest) for w in wanted))  # type: ignore[arg-type]


def _present_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


class _Program(ctypes.Structure):
    """struct sock_fprog of linux/filter.h."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def _filter(program: bytes) -> None:
    whole = _Program(len(program) // FILTER_STEP_BYTES, program)
    _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(whole))
    if not _holds():
        raise UnlockableError("the kernel took the filter, but a file can still be opened")


def _holds() -> bool:
    """/dev/null is open to everybody: only the filter answers EPERM, and the limit on files alone EMFILE."""
    try:
        os.open(os.devnull, os.O_RDONLY)
    except OSError as error:
        return error.errno == errno.EPERM
    return False


def _prctl(option: int, *values: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [*values, 0, 0, 0, 0][:4]
    if libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(value) for value in padded)) != 0:
        raise UnlockableError(f"prctl {option} answers {os.strerror(ctypes.get_errno())}")

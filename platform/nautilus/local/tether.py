"""Runs a command that ends when its parent does, even when the parent was killed with -9.

    python -I -S tether.py SIGNAL PARENT_PID COMMAND...

Also a script of its own, without an import of the project: it stands before every supervised command,
and `import nautilus` loads Celery. PARENT_PID 0 is "whoever it is now". Linux only; elsewhere the next start
clears what a killed launcher left.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(signum: int, parent_pid: int) -> None:
    """Asks the kernel for `signum` when the parent ends.

    It survives exec but not a change of user, so call it after that. The second look at the parent is for one
    that ended before we asked.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def main(name: str, parent_pid: str, *command: str) -> None:
    die_with_parent(signal.Signals[f"SIG{name}"], int(parent_pid) or os.getppid())
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(*sys.argv[1:])

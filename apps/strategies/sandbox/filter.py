"""Which system calls a locked sandbox may make, as a program for the kernel that libseccomp writes.

Three answers: what is in allowed_calls.txt is done; what is in killed_calls.txt ends the process at once, so that it
shows even where a strategy swallows every error; all else, such as opening a file, which libraries try harmlessly, is
EPERM.
"""

import errno
import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from apps.strategies.sandbox.errors import SandboxUnavailableError

PROT_EXEC = 4
SIGABRT = 6
UNKNOWN = -1  # __NR_SCMP_ERROR
STDIN, STDOUT = 0, 1


@cache
def filter_program() -> bytes:
    """The filter as BPF, the same for every sandbox. Raises SandboxUnavailableError where libseccomp is not there."""
    seccomp = _library()
    try:
        rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
        _add_rules(seccomp, rules)
        return _exported(rules)
    except OSError as error:
        raise _unavailable(f"libseccomp cannot write the filter ({error})") from error


def _library() -> Any:
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError) as error:
        raise _unavailable(f"libseccomp cannot be loaded ({error})") from error
    return pyseccomp


def _unavailable(what: str) -> SandboxUnavailableError:
    return SandboxUnavailableError(
        f"Strategies cannot be run: {what}.",
        "Install libseccomp2 and pyseccomp, or set NAUTILUS_SANDBOX_WITHOUT_SECCOMP to do without the kernel's filter.",
    )


def _calls(answer: str) -> list[str]:
    lines = (Path(__file__).parent / f"{answer}_calls.txt").read_text().splitlines()
    return [name for line in lines if not line.startswith("#") for name in line.split()]


def _add_rules(seccomp: Any, rules: Any) -> None:
    rules.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
    for name in _calls("allowed"):
        _add(seccomp, rules, seccomp.ALLOW, name)
    for name in _calls("killed"):
        _add(seccomp, rules, seccomp.KILL_PROCESS, name)
    _add(seccomp, rules, seccomp.ALLOW, "read", seccomp.Arg(0, seccomp.EQ, STDIN))
    _add(seccomp, rules, seccomp.ALLOW, "write", seccomp.Arg(0, seccomp.EQ, STDOUT))
    for name in ("mmap", "mprotect", "pkey_mprotect"):
        _add(seccomp, rules, seccomp.ALLOW, name, seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, 0))
        _add(seccomp, rules, seccomp.KILL_PROCESS, name, seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, PROT_EXEC))
    # abort() of a C library goes on to end the process by itself: a crash, and shown as one
    _add(seccomp, rules, seccomp.KILL_PROCESS, "tgkill", seccomp.Arg(2, seccomp.NE, SIGABRT))
    _add(seccomp, rules, seccomp.KILL_PROCESS, "prlimit64", seccomp.Arg(2, seccomp.NE, 0))


def _add(seccomp: Any, rules: Any, action: int, name: str, *arguments: Any) -> None:
    """Passes over a call that this libseccomp, or this kind of processor, does not know: the default holds for it."""
    number = seccomp.resolve_syscall(seccomp.Arch.NATIVE, name)
    if number != UNKNOWN:
        rules.add_rule(action, number, *arguments)


def _exported(rules: Any) -> bytes:
    with TemporaryFile() as file:
        rules.export_bpf(file)
        file.flush()
        return os.pread(file.fileno(), 1 << 20, 0)

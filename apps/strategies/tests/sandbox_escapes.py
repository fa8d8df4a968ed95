"""Known ways out of a sandbox, each as the body of `target_weights`, with what must be said of it.

`os`, `sys`, `libc` are got by tricks, as an attacker would. {file} and {pid} are the canaries'.
"""

from dataclasses import dataclass, field
from typing import Any

from apps.strategies.sandbox import (
    ForbiddenError,
    LimitExceededError,
    SandboxError,
    StrategyCrashedError,
    StrategyRaisedError,
)

HEAD = """
import collections, functools, itertools
import numpy as np
import pandas as pd
"""

# Only in the code of those that need them, so that each code is refused for its own sake.
TRICKS = {
    "library()": """
def library():
    return sys.modules["ctypes"].CDLL(None)
""",
    "socket": "import scipy.optimize\n",  # which has loaded the module socket
    "os.": 'os = sys.modules["os"]\n',
    "sys.": "sys = collections._sys\n",
}

SYSTEM_CALL = "a forbidden system call"


@dataclass(frozen=True, slots=True)
class Escape:
    """`says`: a part of the error's words with all layers; `bare` and `bare_says`: with the kernel's layer alone."""

    name: str
    body: str
    error: type[SandboxError]
    says: str
    bare: type[SandboxError]
    bare_says: str
    limits: dict[str, Any] = field(default_factory=dict)

    def code(self, file: str, pid: int) -> str:
        code = "def target_weights(prices, params):\n"
        code += "".join(f"    {line}\n" for line in self.body.splitlines()) + "    return {}\n"
        for word, trick in TRICKS.items():
            code = trick + code if word in code else code
        return HEAD + code.replace("{file}", file).replace("{pid}", str(pid))


def _denied(name: str, body: str, says: str) -> Escape:
    """Python's watch ends it; the kernel alone answers EPERM, which the strategy sees as a PermissionError."""
    return Escape(name, body, ForbiddenError, says, StrategyRaisedError, "PermissionError")


def _killed(name: str, body: str, says: str = SYSTEM_CALL) -> Escape:
    """Python's watch ends it, where it sees it; the kernel alone kills."""
    return Escape(name, body, ForbiddenError, says, ForbiddenError, SYSTEM_CALL)


def _limited(name: str, body: str, says: str, **limits: Any) -> Escape:
    return Escape(name, body, LimitExceededError, says, LimitExceededError, says, limits)


def _either(name: str, body: str, error: type[SandboxError], says: str) -> Escape:
    return Escape(name, body, error, says, error, says)


FILES = [
    _denied("reads a file", "open('/etc/passwd').read()", "open('/etc/passwd')"),
    _denied("reads a file past the builtins", "sys.modules['io'].open('/etc/passwd')", "open('/etc/passwd'"),
    _denied("reads a file by its descriptor", "os.open('{file}', os.O_RDONLY)", "open('{file}'"),
    _denied(
        "reads the environment in proc", "sys.modules['io'].open('/proc/self/environ')", "open('/proc/self/environ'"
    ),
    _denied("looks at the first process", "os.listdir('/proc/1')", "os.listdir('/proc/1'"),
    _denied("reads the memory of a process", "os.open('/proc/{pid}/mem', os.O_RDWR)", "open('/proc/{pid}/mem'"),
    _denied("writes a file", "open('{file}', 'w').write('gone')", "open('{file}'"),
    _either("writes a frame to a file", "prices.to_pickle('{file}')", StrategyRaisedError, "PermissionError"),
    _either("asks for a module's file", "prices.to_csv('{file}')", StrategyRaisedError, "pandas.io.formats.csvs"),
    _denied("writes an array to a file", "np.ones(9).tofile('{file}')", "open('{file}'"),
    _denied("maps an array on a file", "np.memmap('{file}', mode='w+', shape=9)", "open('{file}'"),
    _either("follows a link", "os.readlink('/proc/self/exe')", StrategyRaisedError, "PermissionError"),
    _killed("removes a file", "os.remove('{file}')", "os.remove('{file}'"),
    _killed("renames a file", "os.rename('{file}', '/tmp/elsewhere')", "os.rename('{file}'"),
    _killed("opens a file to all", "os.chmod('{file}', 0o777)", "os.chmod('{file}'"),
    _killed("empties a file", "os.truncate('{file}', 0)", "os.truncate('{file}'"),
    _killed("makes a file in memory", "os.memfd_create('code')"),
]

PROCESSES = [
    _killed("is a fork bomb", "while True:\n    os.fork()", "os.fork("),
    _killed("runs a shell", "os.system('echo gone > {file}')", "os.system("),
    _killed("runs a shell by pandas", "pd.io.common.os.system('echo gone > {file}')", "os.system("),
    _killed("becomes another program", "os.execv('/bin/sh', ['sh', '-c', 'echo gone > {file}'])", "os.exec('/bin/sh'"),
    _killed("spawns", "os.posix_spawn('/bin/true', ['true'], {})", "os.posix_spawn('/bin/true'"),
    Escape(
        "imports subprocess", "import subprocess\nsubprocess.run(['touch', '/tmp/x'])",
        ForbiddenError, "import subprocess", StrategyRaisedError, "Error",
    ),
    _killed(
        "forks in the C module of subprocess",
        "fork = sys.modules['_posixsubprocess'].fork_exec\n"
        "fork([b'true'], [b'/bin/true'], True, (), None, [], -1, -1, -1, -1, -1, -1, -1, 5, False, False, -1, None, "
        "None, None, -1, None, False)",
    ),
    _killed("kills its parent", "os.kill(os.getppid(), 9)", "os.kill("),
    _killed("kills another process", "os.kill({pid}, 9)", "os.kill({pid}, 9)"),
    _killed("kills its group", "os.killpg(0, 9)", "os.killpg(0, 9)"),
    _killed("kills by a descriptor", "os.pidfd_open({pid})"),
    _killed("raises a signal", "sys.modules['_signal'].raise_signal(9)"),
    _killed("starts a thread", "sys.modules['_thread'].start_new_thread(print, ())", SYSTEM_CALL),
    _killed("becomes root", "os.setuid(0)"),
    _killed("leaves its session", "os.setsid()"),
    _either("outlives its CPU time", "sys.modules['_signal'].signal(24, 1)", StrategyRaisedError, "PermissionError"),
]  # fmt: skip

NETWORK = [
    _killed("opens a socket", "sys.modules['socket'].socket()", "socket.__new__("),
    _killed("opens a socket in C", "sys.modules['_socket'].socket(2, 1, 0)", "socket.__new__("),
    _killed("makes a pair of sockets", "sys.modules['_socket'].socketpair()", SYSTEM_CALL),
    Escape(
        "imports socket", "import socket\nsocket.socket()",
        ForbiddenError, "import socket", ForbiddenError, SYSTEM_CALL,
    ),
    _killed("opens a socket by ctypes", "library().socket(2, 1, 0)", "ctypes."),
    Escape(
        "imports urllib", "from urllib.request import urlopen\nurlopen('http://127.0.0.1:9/')",
        ForbiddenError, "import urllib.request", StrategyRaisedError, "ModuleNotFoundError",
    ),
]  # fmt: skip

INSIDES = [
    Escape(
        "imports by importlib", "import importlib\nimportlib.import_module('os').system('true')",
        ForbiddenError, "import importlib", ForbiddenError, SYSTEM_CALL,
    ),
    Escape(
        "imports by __import__", "__import__('os').system('true')",
        ForbiddenError, "import os", ForbiddenError, SYSTEM_CALL,
    ),
    Escape(
        "evaluates text", "eval(\"__import__('os').system('true')\")",
        ForbiddenError, "eval(", ForbiddenError, SYSTEM_CALL,
    ),
    _killed(
        "finds Popen among the subclasses",
        "found = [each for each in ().__class__.__base__.__subclasses__() if each.__name__ == 'Popen'][0]\n"
        "found(['/bin/true'], close_fds=False)",
        "subprocess.Popen(",
    ),
    _killed(
        "finds os in the globals of a class",
        "found = [each for each in ().__class__.__base__.__subclasses__() if each.__name__ == '_wrap_close'][0]\n"
        "found.__init__.__globals__['system']('true')",
        "os.system(",
    ),
    _killed("has the true builtins", "print.__self__.__import__('os').system('true')", "os.system("),
    _killed(
        "swallows every error",
        "for way in (lambda: os.system('true'), lambda: os.fork()):\n"
        "    try:\n        way()\n    except BaseException:\n        pass",
        "os.system(",
    ),
]  # fmt: skip

MACHINE = [
    _killed("calls C by ctypes", "library().system(b'echo gone > {file}')", "ctypes."),
    _killed("removes a file by ctypes", "library().unlink(b'{file}')", "ctypes."),
    _killed("traces a process", "library().ptrace(16, {pid}, 0, 0)", "ctypes."),
    _killed("takes off its locks", "library().prctl(38, 0, 0, 0, 0)", "ctypes."),
    _killed(
        "raises its limits", "library().setrlimit(9, (sys.modules['ctypes'].c_ulong * 2)(1 << 40, 1 << 40))", "ctypes."
    ),
    _killed("maps memory that can be executed", "library().mmap(None, 4096, 7, 0x22, -1, 0)", "ctypes."),
    _killed(
        "makes its memory executable", "library().mprotect(sys.modules['ctypes'].c_void_p(4096), 4096, 5)", "ctypes."
    ),
    _killed("asks for another ring to the kernel", "library().syscall(425, 8, 0)", "ctypes."),
    _killed("loads a program into the kernel", "library().syscall(321, 0, 0, 0)", "ctypes."),
    _killed("calls the kernel by its other numbers", "library().syscall(0x40000002, b'/etc/passwd', 0)", "ctypes."),
    _killed("shares memory", "library().shmget(1, 4096, 0o1666)", "ctypes."),
]

RESOURCES = [
    _limited(
        "is a memory bomb", "held = []\nwhile True:\n    held.append(bytearray(1 << 24))", "536,870,912 bytes of memory"
    ),
    _limited("asks for one huge array", "np.ones(1 << 34)", "536,870,912 bytes of memory"),
    _limited("loops without end", "while True:\n    pass", "0.7 s for one call", wall_seconds=0.7),
    _limited(
        "loops in C without end",
        "collections.deque(itertools.repeat(1), maxlen=0)",
        "0.7 s for one call",
        wall_seconds=0.7,
    ),
    _limited("burns its CPU time", "while True:\n    pass", "1 s of CPU time", cpu_seconds=1),
    _limited(
        "burns its CPU time in C", "collections.deque(itertools.repeat(1), maxlen=0)", "1 s of CPU time", cpu_seconds=1
    ),
    _limited("waits for what does not come", "os.read(0, 1)", "0.7 s for one call", wall_seconds=0.7),
    _limited("answers without end", "return {str(n): 0.0 for n in range(200_000)}", "1,048,576 bytes for its answer"),
]

ENDINGS = [
    _either("leaves by SystemExit", "raise SystemExit(0)", StrategyRaisedError, "SystemExit"),
    _either("leaves by KeyboardInterrupt", "raise KeyboardInterrupt", StrategyRaisedError, "KeyboardInterrupt"),
    _either("leaves by _exit", "os._exit(0)", StrategyCrashedError, "exit code 0"),
    _either("recurses", "return target_weights(prices, params)", StrategyRaisedError, "RecursionError"),
    _either(
        "recurses through the stack",
        "sys.setrecursionlimit(10**9)\ndef deeper(x):\n    return max([x], key=deeper)\ndeeper(1)",
        StrategyCrashedError,
        "SIGSEGV",
    ),
    _either("aborts", "os.abort()", StrategyCrashedError, "signal SIG"),
    _either(
        "breaks what the sandbox itself calls",
        "sys.modules['json'].dumps = None",
        StrategyCrashedError,
        "exit code 70",
    ),
    _either("closes its pipe", "os.close(1)", StrategyRaisedError, "PermissionError"),
    _either("writes to its pipe", "os.write(1, b'nonsense' * 100)", LimitExceededError, "bytes for its answer"),
    _either(
        "forges a frame that is none",
        "os.write(1, (3).to_bytes(4, 'big') + bytes(8) + b'[1]')",
        ForbiddenError,
        "the pipe of its answers",
    ),
    _limited(
        "forges a frame that does not end",
        "os.write(1, (10).to_bytes(4, 'big') + bytes(8))\nwhile True:\n    pass",
        "0.7 s for one call",
        wall_seconds=0.7,
    ),
]

ESCAPES = [*FILES, *PROCESSES, *NETWORK, *INSIDES, *MACHINE, *RESOURCES, *ENDINGS]

# What is no escape but a bad end, which no rule could see in the code.
NOT_IN_THE_CODE = {
    "is a memory bomb", "asks for one huge array", "loops without end", "loops in C without end",
    "burns its CPU time", "burns its CPU time in C", "answers without end", "leaves by SystemExit",
    "leaves by KeyboardInterrupt", "recurses",
}  # fmt: skip

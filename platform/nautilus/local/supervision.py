"""supervisord as our child: start its processes, watch them, end them all."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any
from xmlrpc.client import Error as RpcError
from xmlrpc.client import ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from nautilus.local.errors import LocalError, ServerFailedError
from nautilus.local.home import Home
from nautilus.local.processes import servers_in
from nautilus.local.servers import tethered

MARK = "NAUTILUS_SUPERVISED"  # stands in the environment of all that supervisord starts, and nowhere else
START_TIMEOUT_SECONDS = 20.0
# One group after the other, 20 s each at the most before supervisor kills; idle they take about two together.
STOP_TIMEOUT_SECONDS = 60.0
LEFTOVER_PATIENCE_SECONDS = 30.0
STOPPED_BY_HAND = ("STOPPING", "STOPPED")
NOT_REACHED = (OSError, HTTPException, RpcError)


class Supervision:
    """One supervisord on one home folder."""

    def __init__(self, home: Home, environment: Mapping[str, str]) -> None:
        self._home = home
        self._environment = {**environment, MARK: str(home.path)}
        self._process: subprocess.Popen[bytes] | None = None
        self._pids: dict[str, int] = {}

    def start(self) -> None:
        command = [sys.executable, "-m", "nautilus.local.supervisord", "-c", str(self._home.supervisor_conf)]
        with self._home.log("supervisord").open("ab") as log:
            self._process = subprocess.Popen(
                tethered(command, parent_pid=os.getpid()),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # the terminal's Ctrl-C is for us, who stop it all in order
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not answers(self._home):
            self.refuse_ended()
            if time.monotonic() > deadline:
                raise ServerFailedError("supervisord", "does not answer", self._home.log("supervisord"))
            time.sleep(0.05)

    def start_group(self, group: str) -> None:
        rpc(self._home).startProcessGroup(group, False)

    def refuse_ended(self) -> None:
        """Raises where supervisord has ended; without it nobody brings a process back."""
        if self._process is not None and self._process.poll() is not None:
            raise ServerFailedError("supervisord", "ended", self._home.log("supervisord"))

    def refuse_fallen(self) -> None:
        """Raises where a process ended after it was started: while we start, that is a failure and no accident."""
        if fallen := self.replaced():
            raise ServerFailedError(fallen[0], "ended while the platform was starting", self._home.log(fallen[0]))

    def replaced(self) -> list[str]:
        """The processes that ended since the last look, brought back or not; what was stopped by hand has not."""
        self.refuse_ended()
        found = states(self._home)
        seen, self._pids = self._pids, {name: state["pid"] for name, state in found.items()}
        return [
            name
            for name, state in found.items()
            if state["statename"] in ("BACKOFF", "FATAL", "EXITED")
            or (state["statename"] not in STOPPED_BY_HAND and seen.get(name, 0) not in (0, state["pid"]))
        ]

    def stop(self) -> None:
        """Ends everything in order, by force where it must be; nothing is left when this returns."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_SECONDS)
        end_leftovers(self._home, patience_seconds=2.0 if self._process else 0.0)


def rpc(home: Home) -> Any:
    """Supervisor's XML-RPC over its UNIX socket."""
    transport = SupervisorTransport(None, None, f"unix://{home.supervisor_socket}")
    return ServerProxy("http://127.0.0.1", transport=transport).supervisor


def answers(home: Home) -> bool:
    try:
        return bool(rpc(home).getState()["statename"] == "RUNNING")
    except NOT_REACHED:
        return False


def states(home: Home) -> dict[str, dict[str, Any]]:
    """What supervisor knows of each process, by name."""
    try:
        return {state["name"]: state for state in rpc(home).getAllProcessInfo()}
    except NOT_REACHED as error:
        raise ServerFailedError("supervisord", f"does not answer ({error})", home.log("supervisord")) from error


def supervised(home: Home) -> list[psutil.Process]:
    """Every process of this home that a supervisord started, found without its help."""
    marked = [process for process in psutil.process_iter() if _is_marked(process, home)]
    servers = servers_in(home.postgres_data) + servers_in(home.valkey_data)
    return marked + [server for server in servers if server not in marked]


def _is_marked(process: psutil.Process, home: Home) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == str(home.path)
    return False


def end_leftovers(home: Home, patience_seconds: float = LEFTOVER_PATIENCE_SECONDS) -> int:
    """Waits for what still runs of this home, then ends it; says how many there were.

    After a kill -9 of the launcher everything ends by itself (tether.py), in order and within moments;
    what does not, such as a worker's child whose parent was killed, is ended here.
    """
    found = supervised(home)
    _until(lambda: not supervised(home), patience_seconds)
    for kill in (psutil.Process.terminate, psutil.Process.kill):
        for process in supervised(home):
            with contextlib.suppress(psutil.NoSuchProcess):
                kill(process)
        if _until(lambda: not supervised(home), 5.0):
            return len(found)
    left = ", ".join(str(process.pid) for process in supervised(home))
    raise LocalError(f"These processes of {home.path} do not end: {left}.", "End them by hand.")


def _until(condition: Callable[[], bool], timeout_seconds: float) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True

"""Both embedded servers as child processes: for tests, benchmarks, and whoever wants them without the platform.

    with running_servers(Path(tempfile.mkdtemp(prefix="nautilus-test-")), fsync=False) as servers:
        connect(servers.database_url)
        servers.stop_valkey()

`make run` runs the same two commands under supervisor instead.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import redis

from nautilus.following import redis_from_url
from nautilus.local import postgres
from nautilus.local.environment import (
    choose_valkey_port,
    embedded_database_url,
    embedded_redis_url,
    port_is_free,
    valkey_port,
)
from nautilus.local.errors import ServerFailedError
from nautilus.local.home import ROOT, Home

READY_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30.0
TETHER = Path(__file__).with_name("tether.py")


@dataclass(slots=True)
class Servers:
    """A running PostgreSQL and a running Valkey. The URLs stay the same over stops and starts."""

    database_url: str
    redis_url: str
    _home: Home = field(repr=False)
    _fsync: bool = field(repr=False)
    _running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict, repr=False)

    def stop_valkey(self) -> None:
        """Stops Valkey as a machine's shutdown would: its data are on disk afterwards."""
        self._stop("valkey", signal.SIGTERM)

    def start_valkey(self) -> None:
        """Starts Valkey with the data it had; returns when it answers. Does nothing where it runs."""
        self._start("valkey")
        valkey_ready(self.redis_url, READY_TIMEOUT_SECONDS, lambda: self._refuse_ended("valkey"))

    def start_postgres(self) -> None:
        self._start("postgres")
        postgres_ready(self.database_url, READY_TIMEOUT_SECONDS, lambda: self._refuse_ended("postgres"))

    def stop_postgres(self) -> None:
        """Fast shutdown: open connections are cut, what was committed is on disk."""
        self._stop("postgres", signal.SIGINT)

    def _start(self, name: str) -> None:
        if name not in self._running:
            self._running[name] = start_server(self._home, name, fsync=self._fsync)

    def _stop(self, name: str, signum: signal.Signals) -> None:
        if process := self._running.pop(name, None):
            end(process, signum)

    def _refuse_ended(self, name: str) -> None:
        code = self._running[name].poll()
        if code is not None:
            raise ServerFailedError(name, f"ended with exit code {code}", self._home.log(name))


@contextlib.contextmanager
def running_servers(home: Path, *, fsync: bool = True) -> Iterator[Servers]:
    """Starts both servers with their data below `home`, and stops them at the end; the folder stays.

    fsync=False trades safety for speed: for data that a crash may take. Should this process be killed with -9,
    the servers stop by themselves. Start it from the main thread: the kernel ties a child to the thread that
    started it. Keep `home` out of pytest's tmp_path when root runs it: pytest closes that folder to
    PostgreSQL's user.
    """
    place = Home(home.resolve())
    place.make_folders()
    settle_valkey_port(place)
    postgres.prepare(place)
    servers = Servers(embedded_database_url(place), embedded_redis_url(place), place, fsync)
    try:
        servers.start_valkey()
        servers.start_postgres()
        yield servers
    finally:
        servers.stop_valkey()
        servers.stop_postgres()


def settle_valkey_port(home: Home) -> None:
    """Keeps the chosen port, or chooses anew where somebody else listens on it by now. Not while ours runs."""
    if not port_is_free(valkey_port(home)):
        choose_valkey_port(home)


def start_server(home: Home, name: str, *, fsync: bool) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "nautilus.local", name, *(() if fsync else ("--no-fsync",))]
    with home.log(name).open("ab") as log:
        return subprocess.Popen(
            tethered(command, parent_pid=os.getpid()),
            env={**os.environ, "NAUTILUS_HOME": str(home.path), "PYTHONPATH": str(ROOT / "platform")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for us: we stop the servers after those that use them
        )


def tethered(command: list[str], *, parent_pid: int, signal_name: str = "TERM") -> list[str]:
    return [sys.executable, "-I", "-S", str(TETHER), signal_name, str(parent_pid), *command]


def end(process: "subprocess.Popen[bytes]", signum: signal.Signals) -> None:
    """Asks the process to end, and makes it end where it does not."""
    process.send_signal(signum)
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def postgres_ready(url: str, timeout_seconds: float, still_there: Callable[[], None]) -> None:
    """Waits until a real connection is answered; `still_there` raises where waiting has no sense any more."""
    _wait_until(lambda: psycopg.connect(url, connect_timeout=5).close(), psycopg.Error, timeout_seconds, still_there)


def valkey_ready(url: str, timeout_seconds: float, still_there: Callable[[], None]) -> None:
    """As postgres_ready; a Valkey that still loads its file is not ready. Of several servers, the primary."""
    with redis_from_url(url, socket_connect_timeout=5, socket_timeout=5) as client:
        _wait_until(lambda: client.ping(), redis.RedisError, timeout_seconds, still_there)


def _wait_until(
    attempt: Callable[[], object], refusal: type[Exception], timeout_seconds: float, still_there: Callable[[], None]
) -> None:
    deadline = time.monotonic() + timeout_seconds
    while True:
        still_there()
        try:
            attempt()
        except refusal as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"No answer within {timeout_seconds:g} s: {error}") from error
            time.sleep(0.05)
        else:
            return

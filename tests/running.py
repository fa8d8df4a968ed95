"""The platform as `make run` starts it, for tests that need all of it: real processes, real servers, real faults."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from nautilus.local.environment import embedded_database_url, embedded_redis_url
from nautilus.local.home import ROOT, Home
from nautilus.local.supervision import rpc, states, supervised
from tests.prepared_home import copy_prepared_home

START_TIMEOUT_SECONDS = 600.0
BUSY_FACTOR = 2.5
ALWAYS = 1
# Nobody has a real one here: what is `live` is asked for, approved and rolled back, and filled as on paper.
LIVE_BROKER = "apps.strategies.brokers.paper.PaperBroker"
ANALYZE = "/api/v1/sprint3/analytics/risk/analyze"


def turns(count: int) -> list[Any]:
    """Of a test that is worth repeating: the first turn is run always, the rest by `make test-endurance`."""
    return [turn if turn < ALWAYS else pytest.param(turn, marks=pytest.mark.endurance) for turn in range(count)]


@dataclass(slots=True)
class Platform:
    home: Home
    port: int
    flower_port: int
    process: "subprocess.Popen[str] | None"  # None: somebody else's, not to be stopped

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_address(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def redis_url(self) -> str:
        return embedded_redis_url(self.home)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=40, trust_env=False)

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(embedded_database_url(self.home)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def run(self, sql: str, *parameters: Any) -> None:
        """Statements that answer nothing."""
        with psycopg.connect(embedded_database_url(self.home)) as connection:
            connection.execute(sql, parameters or None)

    def pid(self, name: str) -> int:
        return int(states(self.home)[name]["pid"])

    def kill(self, name: str) -> None:
        """kill -9 of a process and of all its children, as when the kernel runs out of memory."""
        process = psutil.Process(self.pid(name))
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):  # PostgreSQL's end by themselves once their parent is gone
                each.kill()

    def stop(self, name: str) -> None:
        """Also one that was killed a moment ago: supervisor starts it again, and stops nothing before that."""

        def stopped() -> bool:
            with suppress(xmlrpc.client.Fault):
                rpc(self.home).stopProcess(f"{_group(name)}:{name}")
            return states(self.home)[name]["statename"] == "STOPPED"

        wait_until(stopped, 30, f"{name} to be stopped")

    def start(self, name: str) -> None:
        rpc(self.home).startProcess(f"{_group(name)}:{name}")

    def start_stopped(self) -> None:
        """Waits until everything runs."""

        def all_run() -> bool:
            missing = [name for name, state in states(self.home).items() if state["statename"] != "RUNNING"]
            for name in missing:
                with suppress(xmlrpc.client.Fault):  # supervisor is already about to start it
                    self.start(name)
            return not missing

        wait_until(all_run, 60, "everything to run")

    def log_ends(self, lines: int) -> list[tuple[str, str]]:
        """The last lines of each log that tells of our own code at work, by the process' name."""
        others = ("flower", "manage", "redis", "supervisord")
        paths = sorted(path for path in self.home.logs.glob("*.log") if not path.stem.startswith(others))
        texts = ((path.stem, path.read_text(errors="replace")) for path in paths)
        return [(f"end of {name}.log", "\n".join(text.splitlines()[-lines:])) for name, text in texts]

    def wipe_redis(self) -> None:
        """Stops Valkey, deletes all it held, starts it empty."""
        self.stop("redis")
        for path in sorted(self.home.valkey_data.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.start("redis")


def _group(name: str) -> str:
    return "stores" if name in ("postgres", "redis") else "nautilus"


def named_platform() -> Platform | None:
    """That of NAUTILUS_TEST_PLATFORM=HOME:PORT, which runs already and is somebody else's."""
    folder, _, port = os.environ.get("NAUTILUS_TEST_PLATFORM", "").rpartition(":")
    return Platform(Home(Path(folder).resolve()), int(port), 0, None) if folder else None


@contextmanager
def sample_platform(*, jobs: bool) -> Iterator[Platform]:
    """NAUTILUS_TEST_PLATFORM=HOME:PORT names one that runs already (tests/browser_pages/conftest.py)."""
    if running := named_platform():
        yield running
        return
    home = Path(tempfile.mkdtemp(prefix="nautilus-platform-"))
    with running_platform(home, jobs=jobs, NAUTILUS_LIVE_BROKER=LIVE_BROKER) as platform:
        yield platform
    shutil.rmtree(home, ignore_errors=True)


@contextmanager
def running_platform(home: Path, *, jobs: bool = False, **settings: str) -> Iterator[Platform]:
    """`python -m nautilus.local run` on a home and ports of its own, until the block ends; `jobs`: the sample jobs."""
    port, flower_port = free_ports(2)
    ours = {"NAUTILUS_HOME": str(home), "NAUTILUS_PORT": str(port), "NAUTILUS_FLOWER_PORT": str(flower_port)}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NAUTILUS_", "DATABASE_"))}
    inherited.pop("REDIS_URL", None)
    log = home / "launcher.log"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "postgres").exists():
        copy_prepared_home(home)
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "nautilus.local", "run", *(() if jobs else ("--no-jobs",))],
            cwd=ROOT,
            env={**inherited, **ours, **settings, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
    platform = Platform(Home(home), port, flower_port, process)
    try:
        wait_until(lambda: _is_ready(process, log), START_TIMEOUT_SECONDS, "the platform to start")
        yield platform
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(90)
    assert not supervised(platform.home), "Ctrl-C left processes behind"


@contextmanager
def another_web_process(
    platform: Platform, application: str = "nautilus.asgi:application"
) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """One more process that answers for the platform, as on a second machine: its port and the process itself."""
    (port,) = free_ports(1)
    flags = ["--lifespan", "off", "--no-access-log", "--log-level", "error", "--timeout-keep-alive", "600"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "uvicorn",
            application,
            "--port",
            str(port),
            "--ws",
            "nautilus.websocket_protocol:WebSocketProtocol",
            *flags,
        ],
        cwd=ROOT,
        env={**os.environ, **environment_of(platform)},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _is_healthy(port), 60, "the web process to answer")
        yield port, process
    finally:
        process.kill()
        process.wait()


def environment_of(platform: Platform) -> dict[str, str]:
    """What the platform's own processes were started with: also where this process has other servers."""
    theirs = psutil.Process(platform.pid("web")).environ()
    return {name: value for name, value in theirs.items() if name.startswith(("NAUTILUS_", "DATABASE_", "REDIS_"))}


def _is_healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _is_ready(process: "subprocess.Popen[str]", log: Path) -> bool:
    text = log.read_text()
    assert process.poll() is None, text
    return "Ready after" in text


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def wait_until(condition: Callable[[], Any], seconds: float, what: str, pause_seconds: float = 0.1) -> Any:
    """Gives up after so many seconds of a machine that is ours alone; other work on it may take most of its cores."""
    deadline = time.monotonic() + BUSY_FACTOR * seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(pause_seconds)
    raise AssertionError(f"waited {BUSY_FACTOR * seconds:g} s for {what}")

"""The launcher as a process of its own, with real servers, supervisor and Celery worker: see small_platform.py."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from nautilus.local.environment import local_environment
from nautilus.local.home import ROOT, Home
from nautilus.local.servers import running_servers
from nautilus.local.supervision import rpc, states, supervised

pytestmark = [
    pytest.mark.slow,
    pytest.mark.operations,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has ended"),
]


class Launcher:
    """One `make run`, its output, and what it started."""

    def __init__(self, home: Path, *arguments: str, **variables: str) -> None:
        self.home = Home(home)
        self.output = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nautilus.local.tests.launch_small_platform", *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT / "platform"), "NAUTILUS_HOME": str(home), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def read_until(self, pattern: str) -> None:
        while not re.search(pattern, self.output):
            line = self.process.stdout.readline()
            assert line, f"ended without {pattern!r}:\n{self.output}"
            self.output += line

    def end(self, signum: signal.Signals | None = None) -> int:
        if signum:
            self.process.send_signal(signum)
        self.output += self.process.stdout.read()
        self.process.stdout.close()
        return self.process.wait(60)

    def pid_of(self, name: str) -> int:
        return states(self.home)[name]["pid"]


@pytest.fixture
def ports() -> dict[str, str]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    numbers = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return dict(zip(("NAUTILUS_PORT", "NAUTILUS_FLOWER_PORT"), numbers, strict=True))


@pytest.fixture
def launch(home, ports) -> Iterator:
    started = []

    def start(*arguments: str, **variables: str) -> Launcher:
        started.append(Launcher(home, *arguments, **{**ports, **variables}))
        return started[-1]

    yield start
    for launcher in started:
        with contextlib.suppress(ProcessLookupError):
            launcher.process.kill()
        launcher.process.stdout.close()
        launcher.process.wait()
    wait_until(lambda: not supervised(Home(home)))
    home.with_suffix(".procfile").unlink(missing_ok=True)


def wait_until(condition, timeout_seconds: float = 40.0) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_running(launcher: Launcher, name: str) -> bool:
    return states(launcher.home)[name]["statename"] == "RUNNING"


def test_once_prints_the_table_and_leaves_no_process(launch, home):
    launcher = launch("--once")

    assert launcher.end() == 0, launcher.output
    assert "3,631,775.22" in launcher.output
    assert supervised(Home(home)) == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_everything_and_is_no_failure(launch, home, signum):
    launcher = launch()
    launcher.read_until("Ctrl-C stops everything")
    assert len(supervised(Home(home))) > 4

    assert launcher.end(signum) == 0
    assert supervised(Home(home)) == []


def test_terminal_that_goes_away_stops_everything(launch, home):
    launcher = launch()
    launcher.read_until("Ctrl-C stops everything")

    launcher.process.stdout.close()
    launcher.process.send_signal(signal.SIGHUP)

    launcher.process.wait(40)
    assert supervised(Home(home)) == []


def test_interrupted_start_stops_what_it_had_started(launch, home):
    launcher = launch()
    launcher.read_until("PostgreSQL and Valkey")

    assert launcher.end(signal.SIGINT) == 130
    assert supervised(Home(home)) == []


def test_every_process_is_found_without_supervisords_help(launch, home):
    launcher = launch()
    launcher.read_until("Ctrl-C stops everything")

    known = {state["pid"] for state in states(launcher.home).values()} | {rpc(launcher.home).getPID()}
    assert known <= {process.pid for process in supervised(Home(home))}


def test_killed_launcher_leaves_nothing_and_the_next_start_is_clean(launch, home):
    launcher = launch()
    launcher.read_until("Ctrl-C stops everything")
    launcher.end(signal.SIGKILL)

    again = launch("--once")  # at once: while the old processes are still ending

    assert again.end() == 0, again.output
    assert supervised(Home(home)) == []


def test_killed_launcher_and_supervisord_leave_nothing(launch, home):
    launcher = launch()
    launcher.read_until("Ctrl-C stops everything")
    for victim in (launcher.process.pid, rpc(launcher.home).getPID()):
        os.kill(victim, signal.SIGKILL)

    wait_until(lambda: not supervised(Home(home)))


def test_killed_supervisord_ends_the_launcher_with_a_failure(launch, home):
    launcher = launch()
    launcher.read_until("Ctrl-C stops everything")

    os.kill(rpc(launcher.home).getPID(), signal.SIGKILL)

    assert launcher.end() == 1
    assert re.search("supervisord (ended|does not answer)", launcher.output)
    assert supervised(Home(home)) == []


def test_killed_processes_are_back_with_no_hand_in_it(launch):
    launcher = launch()
    launcher.read_until("Ctrl-C stops everything")
    for name in ("risk-worker", "web", "redis", "postgres"):
        victim = launcher.pid_of(name)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda name=name, victim=victim: launcher.pid_of(name) not in (0, victim))
        launcher.read_until(f"{name} ended and is started again")

    wait_until(lambda: all(is_running(launcher, name) for name in ("risk-worker", "web", "redis", "postgres")))
    assert launcher.end(signal.SIGINT) == 0


def test_process_that_cannot_start_stops_the_launch_and_shows_its_log(launch, home):
    launcher = launch("--broken")

    assert launcher.end() == 1
    assert "broken ended while the platform was starting" in launcher.output
    assert "broken on purpose" in launcher.output
    assert supervised(Home(home)) == []


def test_second_launcher_on_the_same_home_is_refused_with_the_first_ones_pid(launch):
    first = launch()
    first.read_until("PostgreSQL cluster")

    second = launch()

    assert second.end() == 1
    assert f"A launcher already runs on {first.home.path}: pid {first.process.pid}." in second.output
    first.read_until("Ctrl-C stops everything")


def test_taken_port_is_refused_with_its_variable_before_anything_starts(launch, home, ports):
    with socket.create_server(("127.0.0.1", int(ports["NAUTILUS_PORT"]))):
        launcher = launch()
        assert launcher.end() == 1

    assert f"Port {ports['NAUTILUS_PORT']} (NAUTILUS_PORT) is taken" in launcher.output
    assert f"pid {os.getpid()}" in launcher.output
    assert not (home / "postgres").exists()


def test_given_servers_are_used_and_none_embedded(launch, home):
    other = Path(f"{home}-other")
    try:
        with running_servers(other, fsync=False) as servers:
            launcher = launch("--once", DATABASE_URL=servers.database_url, REDIS_URL=servers.redis_url)
            assert launcher.end() == 0, launcher.output
    finally:
        shutil.rmtree(other)

    assert not (home / "postgres").exists()


def test_second_start_keeps_the_data(launch, home):
    first = launch()
    first.read_until("Ctrl-C stops everything")
    with psycopg.connect(local_environment(home)["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept (n integer)")
    first.end(signal.SIGINT)

    second = launch()
    second.read_until("Ctrl-C stops everything")
    with psycopg.connect(local_environment(home)["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    assert "cluster kept" in second.output


def test_postgres_stops_after_those_who_use_it(launch, home):
    launch("--once").end()

    stopped = re.findall(r"stopped: (\S+)", Home(home).log("supervisord").read_text())
    assert set(stopped[:2]) == {"risk-worker", "web"}
    assert set(stopped[2:]) == {"postgres", "redis"}

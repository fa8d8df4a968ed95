"""scripts/sprint3-health-check.sh on a running platform: 0 while all is well, else 1 and the component's name."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.faults.desk import Desk
from tests.faults.table import FaultLine
from tests.running import ANALYZE, Platform, wait_until
from tests.scripting import checked, run_on, run_remedy, run_script

pytestmark = [pytest.mark.slow, pytest.mark.operations, pytest.mark.timeout(600)]

MONITORING = "/api/v1/sprint3/risk/monitoring"
SOCKETS = 40  # the desk's NAUTILUS_MAX_CONNECTIONS
SECONDS = 240
LEFT_BYTES = 32 * 2**20

Fault = Callable[[Desk], Any]


@pytest.fixture(scope="module")
def well_desk(desk: Desk) -> Desk:
    """The desk once the script has nothing to say against it."""
    code, said = checked(desk.platform, "--wait", str(SECONDS))
    assert code == 0, failures_of(said)
    return desk


def failures_of(said: dict[str, Any]) -> dict[str, str]:
    return {check["check"]: check["detail"] for check in said["checks"] if check["result"] == "FAIL"}


def remedy_of(said: dict[str, Any], component: str) -> str:
    return next(c["remedy"] for c in said["checks"] if c["check"] == component and c["result"] == "FAIL")


def test_good_platform_is_answered_with_zero_and_every_part_is_looked_at(well_desk: Desk):
    done = run_on(well_desk.platform, "sprint3-health-check.sh")

    assert done.returncode == 0, done.stdout
    looked_at = {line.split()[1] for line in done.stdout.splitlines() if line.startswith(("ok ", "warn "))}
    assert looked_at >= {
        "web",
        "risk-worker",
        "api",
        "database",
        "redis",
        "workers",
        "sockets",
        "postgres",
        "disk-space",
    }
    assert "Nothing failed" in done.stdout


# --- Processes and switches: each is mended by the very command that the script names -----------------------


def stopped(name: str) -> Fault:
    return lambda desk: desk.platform.stop(name)


def switched_off(desk: Desk) -> None:
    with desk.platform.client() as client:
        assert client.post(f"{MONITORING}/stop").status_code == 200


@pytest.mark.parametrize(
    ("fault", "inject", "component", "also"),
    [
        ("web process stopped", stopped("web"), "web", "api"),
        ("PostgreSQL stopped", stopped("postgres"), "postgres", "database"),
        ("monitoring switched off", switched_off, "risk_monitoring", None),
        ("price feed stopped", stopped("market-feed"), "market-feed", "market_data"),
        ("streaming engine stopped", stopped("analytics-engine"), "analytics-engine", "analytics_streaming"),
        ("scheduler stopped", stopped("scheduler"), "scheduler", None),
        ("risk worker stopped", stopped("risk-worker"), "risk-worker", "workers"),
        ("alert sender stopped", stopped("alert-sender"), "alert-sender", None),
    ],
)
def test_fault_is_named_and_its_remedy_mends_it(
    well_desk: Desk,
    fault_line: Callable[[str], FaultLine],
    fault: str,
    inject: Fault,
    component: str,
    also: str | None,
):
    line, task = fault_line(f"health script: {fault}"), submit(well_desk.platform)
    inject(well_desk)
    line.injected()

    said = wait_until(lambda: named(well_desk.platform, component, also), SECONDS, f"{component} and {also} to fail")
    line.seen(failures_of(said)[component])
    run_remedy(well_desk.platform, remedy_of(said, component))

    assert_well_again(well_desk, line, task)


# --- Faults that are held for a time ------------------------------------------------------------------------


@contextmanager
def redis_that_hangs(desk: Desk) -> Iterator[None]:
    pid = desk.platform.pid("redis")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def all_sockets_taken(desk: Desk) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(SOCKETS):
            stack.enter_context(connect(f"{desk.platform.socket_address}/ws", proxy=None))
        yield


@contextmanager
def disk_that_is_full(desk: Desk) -> Iterator[None]:
    folder = desk.platform.home.path
    ballast, disk = folder / "ballast", os.statvfs(folder)
    subprocess.run(["fallocate", "-l", str(disk.f_bavail * disk.f_frsize - LEFT_BYTES), str(ballast)], check=True)
    try:
        yield
    finally:
        ballast.unlink()


@pytest.mark.parametrize(
    ("fault", "holding", "components"),
    [
        ("Redis hangs", redis_that_hangs, {"redis", "api"}),
        ("all sockets taken", all_sockets_taken, {"sockets"}),
        ("disk full", disk_that_is_full, {"disk", "disk-space"}),
    ],
)
def test_fault_is_named_while_it_lasts(
    well_desk: Desk, fault_line: Callable[[str], FaultLine], fault: str, holding: Any, components: set[str]
):
    line, task = fault_line(f"health script: {fault}"), submit(well_desk.platform)
    with holding(well_desk):
        line.injected()
        said = wait_until(lambda: named(well_desk.platform, *components), SECONDS, f"{components} to fail")
        line.seen(failures_of(said)[min(components)])
    line.cured()
    if "sockets" in components:  # that some were turned away is told for a minute, unless the process is another
        run_remedy(well_desk.platform, remedy_of(said, "sockets"))

    assert_well_again(well_desk, line, task)


def submit(platform: Platform) -> str:
    """A task that must end whatever happens."""
    with platform.client() as client:
        answer = client.post(ANALYZE, json={"portfolio_id": "PORTFOLIO_001"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


def named(platform: Platform, *components: str | None) -> dict[str, Any] | None:
    """What the script says, once it fails and names all of these."""
    code, said = checked(platform)
    assert (code == 0) == said["healthy"]
    return said if code == 1 and set(filter(None, components)) <= set(said["failed"]) else None


def assert_well_again(desk: Desk, line: FaultLine, task: str) -> None:
    code, said = checked(desk.platform, "--wait", str(SECONDS))
    assert code == 0, failures_of(said)
    wait_until(lambda: status_of(desk.platform, task) != "processing", SECONDS, "the task to end")
    line.mended(lost=int(status_of(desk.platform, task) != "succeeded"))
    assert line.lost == 0


def status_of(platform: Platform, task: str) -> str:
    return str(platform.query("SELECT status FROM tasks_task WHERE id = %s", task)[0][0])


def test_platform_that_does_not_run_is_said_to_need_its_start(tmp_path):
    done = run_script("sprint3-health-check.sh", NAUTILUS_HOME=str(tmp_path), NAUTILUS_MODE="local")

    assert done.returncode == 1
    assert f"platform: nothing runs in {tmp_path}" in done.stderr
    assert "make run" in done.stderr

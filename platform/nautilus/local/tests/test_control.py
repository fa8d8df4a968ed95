"""start, stop, restart, status and env of the command line, on the platform of a few lines that test_run.py starts."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from nautilus.local.control import libpq_environment
from nautilus.local.environment import embedded_database_url
from nautilus.local.home import ROOT, Home
from nautilus.local.supervision import supervised
from nautilus.local.tests.test_run import Launcher

pytestmark = [
    pytest.mark.slow,
    pytest.mark.operations,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has ended"),
]

FROM_THE_RUN = {"NAUTILUS_MONITOR_INTERVAL_SECONDS": "7"}


@pytest.fixture(scope="module")
def running() -> Iterator[Launcher]:
    home = Path(tempfile.mkdtemp(prefix="nautilus-control-")).resolve()
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = {"NAUTILUS_PORT": str(one.getsockname()[1]), "NAUTILUS_FLOWER_PORT": str(other.getsockname()[1])}
    # Empty is as good as not set: the suite's own servers must not answer for those of the run.
    launcher = Launcher(home, DATABASE_URL="", REDIS_URL="", **ports, **FROM_THE_RUN)
    try:
        launcher.read_until("Ctrl-C stops everything")
        yield launcher
    finally:
        with contextlib.suppress(ProcessLookupError):
            launcher.process.terminate()
        launcher.process.stdout.close()
        launcher.process.wait(60)
    assert supervised(Home(home)) == []
    shutil.rmtree(home)
    home.with_suffix(".procfile").unlink()


def ask(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """The command line as a shell has it that knows the home and nothing else."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("NAUTILUS_", "DATABASE_", "REDIS_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "nautilus.local", *words],
        env={**inherited, "PYTHONPATH": str(ROOT / "platform"), "NAUTILUS_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=170,
    )


def state_of(launcher: Launcher, name: str) -> str:
    facts = json.loads(ask(launcher.home.path, "status", "--json").stdout)
    return next(process["state"] for process in facts["processes"] if process["name"] == name)


def test_stopped_process_stays_stopped_and_a_started_one_serves_at_once(running: Launcher):
    done = ask(running.home.path, "stop", "web")
    assert (done.returncode, done.stdout) == (0, "stopped: web\n")
    assert state_of(running, "web") == "stopped"

    done = ask(running.home.path, "start", "web")

    assert (done.returncode, done.stdout) == (0, "started: web\n")
    address = json.loads(ask(running.home.path, "status", "--json").stdout)["address"]
    assert httpx.get(f"{address}/health", trust_env=False).status_code == 200


def test_restarted_worker_is_another_process_that_answers(running: Launcher):
    before = running.pid_of("risk-worker")

    done = ask(running.home.path, "restart", "risk-worker")

    assert (done.returncode, done.stdout) == (0, "restarted: risk-worker\n")
    assert running.pid_of("risk-worker") not in (0, before)


def test_restarted_database_answers_at_once_with_what_it_had(running: Launcher):
    url = embedded_database_url(running.home)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    assert ask(running.home.path, "restart", "postgres").returncode == 0

    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_what_runs_already_is_left_alone(running: Launcher):
    before = running.pid_of("redis")

    done = ask(running.home.path, "start", "redis")

    assert (done.returncode, done.stdout) == (0, "nothing to do: redis runs already\n")
    assert running.pid_of("redis") == before


def test_process_that_ends_at_its_start_is_told_with_its_log(running: Launcher):
    ask(running.home.path, "stop", "web")
    port = int(json.loads(ask(running.home.path, "status", "--json").stdout)["address"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        done = ask(running.home.path, "start", "web")

    assert done.returncode == 1
    assert "web ended right after its start." in done.stderr
    assert "Address already in use" in done.stderr
    assert ask(running.home.path, "restart", "web").returncode == 0


def test_unknown_process_is_refused_with_those_that_there_are(running: Launcher):
    done = ask(running.home.path, "restart", "risk-worker", "wbe")

    assert done.returncode == 1
    assert done.stderr == "There is no process 'wbe'.\nExpected one of risk-worker, web, postgres, redis, all.\n"


def test_status_tells_programs_what_runs(running: Launcher):
    done = ask(running.home.path, "status", "--json")

    facts = json.loads(done.stdout)
    assert (done.returncode, facts["running"], facts["home"]) == (0, True, str(running.home.path))
    assert {p["name"]: (p["group"], p["state"]) for p in facts["processes"]} == {
        "postgres": ("stores", "running"),
        "redis": ("stores", "running"),
        "risk-worker": ("nautilus", "running"),
        "web": ("nautilus", "running"),
    }
    assert {p["name"]: p["pid"] for p in facts["processes"]}["web"] == running.pid_of("web")


def test_env_is_what_the_processes_run_with(running: Launcher):
    lines = ask(running.home.path, "env", "--libpq").stdout.splitlines()

    assert "export NAUTILUS_MONITOR_INTERVAL_SECONDS=7" in lines
    assert f"export PGHOST={running.home.postgres_socket_folder}" in lines
    assert not any("NAUTILUS_SUPERVISED" in line for line in lines)


def test_command_with_stores_uses_those_that_run(running: Launcher):
    before = running.pid_of("postgres")

    done = ask(running.home.path, "with-stores", "--", "sh", "-c", 'echo "$NAUTILUS_HOME"; exit 3')

    assert (done.returncode, done.stdout) == (3, f"{running.home.path}\n")
    assert running.pid_of("postgres") == before


# --- Where nothing runs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["start", "stop", "restart"])
def test_without_a_platform_it_says_how_to_start_one(home: Path, command: str):
    done = ask(home, command, "web")

    assert done.returncode == 1
    assert done.stderr == f"Nothing runs in {home}.\n`make run` starts it.\n"


def test_status_without_a_platform_is_an_answer_too(home: Path):
    done = ask(home, "status", "--json")

    assert done.returncode == 3
    assert json.loads(done.stdout) == {
        "home": str(home),
        "running": False,
        "address": "http://127.0.0.1:8001",
        "processes": [],
    }


def test_command_with_stores_has_them_for_its_time(home: Path):
    question = (
        "import os, psycopg; print(psycopg.connect(os.environ['DATABASE_URL']).execute('SELECT 6 * 7').fetchone())"
    )

    done = ask(home, "with-stores", "--", sys.executable, "-c", question)

    assert done.stdout.splitlines()[-1] == "(42,)", done.stderr
    assert supervised(Home(home)) == []


def test_url_becomes_the_variables_of_libpq():
    url = "postgresql://desk:p%40ss@db.example:6432/nautilus?sslmode=require&options=-c%20work_mem%3D8MB"

    assert libpq_environment(url) == {
        "PGHOST": "db.example",
        "PGPORT": "6432",
        "PGUSER": "desk",
        "PGPASSWORD": "p@ss",
        "PGDATABASE": "nautilus",
        "PGSSLMODE": "require",
        "PGOPTIONS": "-c work_mem=8MB",
    }

"""`manage.py doctor` as an operator calls it: what it says, its exit codes, what it mends, and stores that hang."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from django.conf import settings

from apps.operations.diagnosis.examination import Done, exit_code, mend, names
from apps.operations.diagnosis.fixing import Fix
from apps.operations.diagnosis.looking import Look, look_at, within
from apps.operations.diagnosis.registry import Diagnosis, RegisteredProbe, Store
from apps.operations.diagnosis.report import as_json
from apps.operations.findings import Finding, Status
from nautilus.local.servers import Servers, running_servers
from nautilus.postgresql.naming import application_name

ROOT = settings.ROOT
INDEX = "idx_risk_limits_active"
A_FINDING = Finding(Status.DEGRADED, "it limps", "a stone", "take it out", "worker-killed")


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """A PostgreSQL with our schema and a Redis, to be stopped and spoilt."""
    folder = Path(tempfile.mkdtemp(prefix="nautilus-doctor-"))
    with running_servers(folder, fsync=False) as servers:
        manage(servers, "migrate", "--verbosity", "0").check_returncode()
        yield servers


def manage(servers: Servers, *arguments: str) -> "subprocess.CompletedProcess[str]":
    addresses = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | addresses, capture_output=True, text=True, check=False)


def doctor(servers: Servers, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = manage(servers, "doctor", "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_doctor_says_of_each_look_what_was_seen_and_ends_with_0_where_all_is_well(servers: Servers):
    code, said = doctor(servers, "--only", "missing-indexes", "connections", "redis-memory")
    assert (code, said["status"], said["fixes"]) == (0, "healthy", [])
    assert set(said["looks"]) == {"missing-indexes", "connections", "redis-memory"}
    assert "nautilus doctor 1" in said["looks"]["connections"]["detail"], "the doctor's own session is not named"


def test_missing_index_is_said_to_be_mended_then_mended(servers: Servers):
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f"DROP INDEX {INDEX}")
        code, said = doctor(servers, "--only", "missing-indexes")
        assert (code, said["status"]) == (1, "degraded")
        code, said = doctor(servers, "--only", "missing-indexes", "--fix", "--dry-run")
        assert code == 1
        assert said["fixes"][0]["would"] == f"create index {INDEX} on risk_limits CONCURRENTLY"
        assert said["fixes"][0]["did"] is None
        assert not connection.execute("SELECT 1 FROM pg_indexes WHERE indexname = %s", [INDEX]).fetchall()
        code, said = doctor(servers, "--only", "missing-indexes", "--fix")
        assert (code, said["fixes"][0]["did"]) == (0, f"created index {INDEX} on risk_limits")
        assert connection.execute("SELECT 1 FROM pg_indexes WHERE indexname = %s", [INDEX]).fetchall()


def test_table_is_readable_and_its_commands_stand_whole(servers: Servers):
    done = manage(servers, "doctor", "--only", "beat", "connections")
    assert done.returncode == 2
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "unhealthy beat: No scheduler leads: nothing is swept, monitored or sent by the clock." in lines
    assert "remedy  scripts/restart-service.sh scheduler" in lines
    assert "link    docs/runbook.md#scheduler-gone" in lines


def test_redis_that_hangs_does_not_hang_the_doctor_who_says_so_and_looks_at_the_rest(servers: Servers):
    process = _listener(int(servers.redis_url.rsplit(":", 1)[1].split("/")[0]))
    process.send_signal(signal.SIGSTOP)
    try:
        code, said = doctor(servers, "--only", "redis-memory", "redis", "connections", "--timeout", "4")
    finally:
        process.send_signal(signal.SIGCONT)
    assert code == 2
    assert said["looks"]["connections"]["status"] == "healthy"
    assert said["looks"]["redis"]["status"] == "unhealthy"
    assert said["looks"]["redis-memory"]["status"] == "could not look"
    assert said["looks"]["redis-memory"]["detail"].startswith("not looked at: Redis gives no answer")


def test_postgresql_that_hangs_does_not_hang_the_doctor_who_says_so_and_looks_at_the_rest(servers: Servers):
    with psycopg.connect(servers.database_url) as connection:
        (row,) = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchall()
    server = psutil.Process(int(row[0].split()[0]))
    stopped = [server, *server.children(recursive=True)]
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    try:
        code, said = doctor(servers, "--only", "redis-memory", "bloat", "--timeout", "4")
    finally:
        for process in stopped:
            with suppress(psutil.NoSuchProcess):  # a session that had ended already
                process.send_signal(signal.SIGCONT)
    assert (code, said["status"]) == (3, "could not look")
    assert said["looks"]["redis-memory"]["status"] == "healthy"
    assert said["looks"]["bloat"]["detail"].startswith("not looked at: PostgreSQL gives no answer")


def _listener(port: int) -> psutil.Process:
    pids = {one.pid for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.laddr.port == port}
    (pid,) = pids
    return psutil.Process(pid)


def test_session_is_ended_by_its_number_and_an_unknown_number_is_refused(servers: Servers):
    with psycopg.connect(servers.database_url, application_name="in the way") as other:
        done = manage(servers, "end_session", str(other.info.backend_pid))
        assert "Ended session" in done.stdout
        assert "in the way" in done.stdout
        with pytest.raises(psycopg.OperationalError):
            other.execute("SELECT 1")
        other.close()
    refused = manage(servers, "end_session", "1")
    assert (refused.returncode, "PostgreSQL has no session with the pid 1" in refused.stderr) == (1, True)


def test_unknown_name_is_refused_with_those_that_there_are(servers: Servers):
    done = manage(servers, "doctor", "--only", "horoscope")
    assert done.returncode == 64
    assert "nothing named 'horoscope'" in done.stderr
    assert "slow-queries" in done.stderr


def test_everything_that_can_be_looked_at_is_listed(servers: Servers):
    listed = {line.split()[0] for line in manage(servers, "doctor", "--list").stdout.splitlines()}
    assert listed == set(names())
    assert all(names().values())


# --- The parts -------------------------------------------------------------------------------------------
def test_exit_code_names_the_worst_and_what_could_not_be_looked_at():
    well, blind = Look("a", 1.0, "fine"), Look("b", 1.0, failure="no answer")
    limps = Look("c", 1.0, "limps", (A_FINDING,))
    down = Look("d", 1.0, "down", (replace(A_FINDING, status=Status.UNHEALTHY),))
    assert [exit_code(looks) for looks in ([well], [well, limps], [limps, blind], [blind, down, well])] == [0, 1, 3, 2]


def test_probe_that_raises_or_hangs_could_not_look_and_the_next_one_looks():
    def refuse() -> Diagnosis:
        raise OSError("no such disk")

    def hang() -> Diagnosis:
        time.sleep(60)
        return Diagnosis("never")

    probes = [RegisteredProbe(name, look, frozenset()) for name, look in (("raises", refuse), ("hangs", hang))]
    probes.append(RegisteredProbe("looks", lambda: Diagnosis("seen"), frozenset({Store.REDIS})))
    raised, hung, seen = look_at(probes, limit_seconds=0.2)
    assert raised.failure == "could not look: OSError: no such disk"
    assert hung.failure == "could not look: no answer within 0.2 s"
    assert (seen.detail, seen.status) == ("seen", Status.HEALTHY)


def test_fix_that_fails_is_told_and_the_others_are_done():
    def fail() -> str:
        raise OSError("no permission")

    fixes = (Fix("take it out", fail), Fix("rest a while", lambda: "rested"))
    look = Look("hoof", 1.0, "", tuple(replace(A_FINDING, fix=fix) for fix in fixes))
    assert list(mend([look])) == [
        Done("hoof", "take it out", failure="no permission"),
        Done("hoof", "rest a while", did="rested"),
    ]
    assert list(mend([look], dry_run=True)) == [Done("hoof", "take it out"), Done("hoof", "rest a while")]


def test_json_has_every_word_of_a_finding():
    said = as_json([Look("hoof", 1.25, "one of four", (A_FINDING,))], [])
    assert said["looks"]["hoof"] == {
        "status": "degraded",
        "latency_ms": 1.2,
        "detail": "one of four",
        "findings": [
            {
                "status": "degraded",
                "symptom": "it limps",
                "cause": "a stone",
                "remedy": "take it out",
                "link": "docs/runbook.md#worker-killed",
                "fixable": False,
            }
        ],
    }


def test_what_a_function_raised_in_its_thread_is_told():
    answer = within(5, lambda: 1 / 0)
    assert (answer.returned, type(answer.error)) == (False, ZeroDivisionError)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["/venv/bin/celery", "-A", "nautilus", "worker", "-n", "risk-worker@%h"], "nautilus risk-worker"),
        (["/venv/bin/celery", "-A", "nautilus", "beat"], "nautilus scheduler"),
        (["/app/platform/nautilus/serve.py"], "nautilus serve"),
        (["manage.py", "run_analytics_engine"], "nautilus run_analytics_engine"),
        (["/venv/lib/uvicorn/__main__.py", "--port", "1"], "nautilus uvicorn"),
        ([], "nautilus"),
    ],
)
def test_session_is_named_by_its_process(arguments: list[str], name: str):
    assert application_name(arguments) == name

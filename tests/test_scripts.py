"""The operators' scripts without a platform: help, usage, what they would do, and how they call Docker.

No Docker engine is at hand: a program of the name `docker` stands first on the PATH, writes down how it is called, and
answers as `docker compose` does. That shows what would be asked of Docker, and not that Docker does it.
"""

import hashlib
import json
import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from websockets.sync.server import serve

from nautilus.local.home import ROOT
from nautilus.local.procfile import read_procfile
from tests.running import free_ports, wait_until
from tests.scripting import run_function, run_script

SCRIPTS = sorted(path.name for path in (ROOT / "scripts").glob("*.sh"))
OF_THE_CONTRACT = {
    "sprint3-health-check.sh",
    "check-ports.sh",
    "emergency-recovery.sh",
    "performance-emergency.sh",
    "isolate-service.sh",
}
THAT_CHANGE = {
    "restart-service.sh": ["redis"],
    "isolate-service.sh": ["redis"],
    "emergency-recovery.sh": [],
    "performance-emergency.sh": [],
    "backup.sh": [],
}
DOCKER = """\
#!/usr/bin/env bash
printf '%s\\n' "${*//$'\\n'/ }" >>"$DOCKER_CALLS"
[[ -z ${DOCKER_FAILS:-} || $* != *"$DOCKER_FAILS"* ]] || exit 1
case "$*" in
    *" ps --all --format json") cat "$DOCKER_STATES" ;;
    *" ps --format json") grep '"running"' "$DOCKER_STATES" ;;
    *" ps --services --status running") printf 'backend\\npostgres\\n' ;;
    *" ps --quiet") grep '"running"' "$DOCKER_STATES" || true ;;
    *" ps --all --quiet "*) grep "\\"${!#}\\"" "$DOCKER_STATES" || true ;;
    *" df -Pk "*) printf 'Filesystem 1K-blocks Used Available\\n/dev/sda 9 9 %s\\n' "${DOCKER_FREE_KB:-9999}" ;;
    *"redis-cli ping"*) echo PONG ;;
    *"-d nautilus_restore_"*) ;;
    *pg_dump*) echo "the dump" ;;
    *"exec -T postgres"* | *PGUSER*) echo 1 ;;
esac
"""
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
SERVICES = [name for name in COMPOSE["services"] if name != "migrate"]  # which ends when it has done its work


class Docker:
    """What was asked of Docker, and what it answers for the state of each service."""

    def __init__(self, folder: Path) -> None:
        self.calls_file, self.states_file = folder / "calls", folder / "states"
        self.calls_file.touch()
        self.states_are({})
        program = folder / "bin" / "docker"
        program.parent.mkdir()
        program.write_text(DOCKER)
        program.chmod(0o755)
        self.variables = {
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "DOCKER_CALLS": str(self.calls_file),
            "DOCKER_STATES": str(self.states_file),
            "NAUTILUS_MODE": "compose",
            "NAUTILUS_HOME": str(folder / "home"),
            "NAUTILUS_TOKEN": "an operator's",
        }

    def states_are(self, other: dict[str, str], *more: str, usual: str = "running") -> None:
        """Of each service a container, and one for each further name."""
        lines = [
            {"Service": name, "State": other.get(name, usual), "Health": "", "Name": f"nautilus-{name}-{number}"}
            for number, name in enumerate([*SERVICES, *more])
        ]
        self.states_file.write_text("".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines))

    def run(self, name: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return run_script(name, *arguments, **{**self.variables, **variables})

    @property
    def asked(self) -> list[str]:
        """What was asked after `docker compose --file FILE`, but for how things are."""
        calls = [line for line in self.calls_file.read_text().splitlines() if line != "compose version"]
        assert all(call.startswith(f"compose --file {ROOT / 'docker/compose.yaml'} ") for call in calls)
        return [words for call in calls if not (words := call.split(" ", 3)[3]).startswith("ps ")]


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    return Docker(tmp_path)


def test_every_script_of_the_contract_is_there():
    assert set(SCRIPTS) >= OF_THE_CONTRACT
    contract = (ROOT / "docs" / "contract.md").read_text()
    assert set(re.findall(r"scripts/([a-z0-9-]+\.sh)", contract)) <= set(SCRIPTS)


def test_scripts_know_every_service_of_compose_and_of_the_procfile():
    library = (ROOT / "scripts" / "lib" / "nautilus.sh").read_text()
    known = {name: set(words.split()) for name, words in re.findall(r"^(\w+)_SERVICES=\((.*?)\)", library, re.M | re.S)}

    assert known["COMPOSE"] == set(SERVICES)
    assert known["LOCAL"] == {process.name for process in read_procfile({})}


def test_scripts_are_without_a_finding_of_shellcheck():
    files = [*(ROOT / "scripts").glob("*.sh"), *(ROOT / "scripts" / "lib").glob("*.sh"), ROOT / ".ci" / "run"]

    done = subprocess.run(["shellcheck", "--external-sources", *files], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_says_how_it_is_called_and_how_it_ends(name: str):
    done = run_script(name, "--help")

    assert done.returncode == 0
    assert f"scripts/{name}" in done.stdout
    assert "xit code" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - {"manage.sh"}))
def test_option_that_does_not_exist_is_wrong_usage(name: str):
    done = run_script(name, "--no-such-option", NAUTILUS_MODE="local")

    assert done.returncode == 2
    assert "There is no option --no-such-option." in done.stderr


@pytest.mark.parametrize("name", ["restart-service.sh", "isolate-service.sh"])
def test_service_that_does_not_exist_is_refused_with_those_that_do(name: str):
    done = run_script(name, "postgress", NAUTILUS_MODE="local")

    assert done.returncode == 2
    assert "There is no service 'postgress'; expected one of postgres redis web" in done.stderr


def test_mode_that_does_not_exist_is_refused():
    done = run_script("restart-service.sh", "redis", NAUTILUS_MODE="kubernetes")

    assert done.returncode == 1
    assert "NAUTILUS_MODE is 'kubernetes'." in done.stderr
    assert "Expected compose or local." in done.stderr


def test_number_that_is_none_is_wrong_usage():
    done = run_script("sprint3-health-check.sh", "--wait", "soon")

    assert done.returncode == 2
    assert "--wait is 'soon'; expected a whole number." in done.stderr


# --- Compose ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "arguments"), THAT_CHANGE.items())
def test_dry_run_changes_nothing_in_containers(docker: Docker, name: str, arguments: list[str]):
    done = docker.run(name, *arguments, "--dry-run")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "would" in done.stdout
    assert [call for call in docker.asked if call.split()[0] not in ("exec", "ps")] == []
    assert not any("pg_dump" in call or "pg_terminate" in call for call in docker.asked)


def test_restart_waits_until_the_container_is_healthy(docker: Docker):
    assert docker.run("restart-service.sh", "risk-worker").returncode == 0

    assert docker.asked == ["restart risk-worker", "up --detach --no-deps --no-recreate --wait risk-worker"]


def test_web_is_two_services_in_compose(docker: Docker):
    assert docker.run("restart-service.sh", "web").returncode == 0

    assert docker.asked[0] == "restart backend websocket-handler"


def test_command_runs_in_the_container_of_the_backend(docker: Docker):
    assert docker.run("manage.sh", "doctor", "--fix", "--only", "disk").returncode == 0

    assert docker.asked == ["exec -T backend python manage.py doctor --fix --only disk"]


def test_isolated_service_stays_stopped_until_it_is_released(docker: Docker):
    assert docker.run("isolate-service.sh", "market-feed").returncode == 0
    docker.states_are({"market-feed": "exited"})

    refused = docker.run("restart-service.sh", "market-feed")
    assert (refused.returncode, docker.asked) == (1, ["stop market-feed"])
    assert "scripts/isolate-service.sh market-feed --release" in refused.stderr

    assert docker.run("isolate-service.sh", "market-feed", "--release").returncode == 0
    assert docker.asked[1:] == ["up --detach --no-deps --no-recreate --wait market-feed"]
    assert docker.run("isolate-service.sh", "--list").stdout == ""


def test_isolated_service_that_somebody_has_started_counts_as_released(docker: Docker):
    docker.run("isolate-service.sh", "market-feed")

    docker.states_are({})

    assert docker.run("restart-service.sh", "market-feed").returncode == 0


def test_health_check_names_the_container_that_does_not_run(docker: Docker):
    docker.states_are({"scheduler": "exited", "alert-sender": "restarting"})

    done = docker.run("sprint3-health-check.sh", "--json")

    failed = {check["check"]: check for check in json.loads(done.stdout)["checks"] if check["result"] == "FAIL"}
    assert done.returncode == 1
    assert (failed["scheduler"]["detail"], failed["alert-sender"]["detail"]) == ("is exited", "is restarting")
    assert failed["scheduler"]["remedy"] == "scripts/restart-service.sh scheduler"
    assert "risk-worker" not in failed


def test_load_is_taken_off_by_stopping_and_scaling_containers(docker: Docker):
    docker.states_are({"flower": "exited"})

    done = docker.run("performance-emergency.sh", "--scale", "risk-worker=4", "--dry-run")

    assert "'compose' 'stop' 'analytics-engine' 'market-feed'" in done.stdout
    assert "'--scale' 'risk-worker=4' 'risk-worker'" in done.stdout


def test_backup_of_containers_dumps_inside_the_container(docker: Docker):
    done = docker.run("backup.sh", "--dry-run")

    assert (done.returncode, "pg_dump of nautilus (compose)" in done.stdout) == (0, True)


def test_docker_without_compose_is_said(docker: Docker):
    program = Path(docker.variables["PATH"].split(":")[0]) / "docker"
    program.write_text("#!/bin/sh\nexit 125\n")

    done = docker.run("restart-service.sh", "redis")

    assert done.returncode == 1
    assert "Docker has no compose plugin." in done.stderr


def test_service_of_three_containers_is_started_again_with_three(docker: Docker):
    docker.states_are({}, "risk-worker", "risk-worker")

    assert docker.run("restart-service.sh", "risk-worker").returncode == 0

    assert docker.asked[1] == "up --detach --no-deps --no-recreate --wait --scale risk-worker=3 risk-worker"


def test_recovery_of_containers_without_a_token_begins_nothing(docker: Docker):
    done = docker.run("emergency-recovery.sh", NAUTILUS_TOKEN="")

    assert (done.returncode, docker.asked) == (1, [])
    assert "NAUTILUS_TOKEN is not set" in done.stderr


def test_recovery_where_no_container_runs_brings_up_the_whole_with_its_migrations(docker: Docker):
    docker.states_are({}, usual="exited")

    done = docker.run("emergency-recovery.sh", "--dry-run")

    started = [line for line in done.stdout.splitlines() if "'up'" in line]
    assert done.returncode == 0, done.stderr
    assert started == [
        "  would run: 'compose' 'up' '--detach' '--no-deps' '--no-recreate' '--wait' 'postgres' 'redis'",
        "  would run: 'compose' 'up' '--detach' '--no-recreate' '--wait'",
    ]


@contextmanager
def web_that_answers(status: int, body: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, '{"errors": []}', "The API answers 401: it tells its components to an operator alone."),
        (403, '{"errors": []}', "The API answers 403: it tells its components to an operator alone."),
        (200, "<h1>Welcome</h1>", "answers 200, and no JSON: <h1>Welcome</h1>"),
    ],
)
def test_recovery_does_not_wait_for_an_answer_that_waiting_does_not_change(
    docker: Docker, status: int, body: str, told: str
):
    with web_that_answers(status, body) as address:
        done = docker.run("emergency-recovery.sh", "--no-backup", NAUTILUS_ADDRESS=address)

    assert done.returncode == 1
    assert told in done.stderr
    assert "FAILED at step 5 minimal." in done.stderr


@pytest.mark.parametrize(
    ("status", "remedy"), [(400, "NAUTILUS_ALLOWED_HOSTS"), (401, "NAUTILUS_ADDRESS"), (403, "NAUTILUS_ADDRESS")]
)
def test_restart_is_no_remedy_for_an_address_that_is_refused(docker: Docker, status: int, remedy: str):
    with web_that_answers(status, "") as address:
        done = docker.run("sprint3-health-check.sh", "--json", NAUTILUS_ADDRESS=address)

    (api,) = [check for check in json.loads(done.stdout)["checks"] if check["check"] == "api"]
    assert (api["result"], remedy in api["remedy"], "restart" in api["remedy"]) == ("FAIL", True, False)


def test_isolated_service_and_what_fails_for_want_of_it_are_warnings(docker: Docker):
    docker.run("isolate-service.sh", "market-feed")
    docker.states_are({"market-feed": "exited"})
    failing = {"status": "unhealthy", "detail": "no prices", "remedy": "scripts/restart-service.sh market-feed"}

    with web_that_answers(200, json.dumps({"components": {"market_data": failing}})) as address:
        done = docker.run("sprint3-health-check.sh", "--json", NAUTILUS_ADDRESS=address)

    said = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    assert {said[name]["result"] for name in ("market-feed", "market_data")} == {"warn"}
    assert said["market_data"]["remedy"] == "scripts/isolate-service.sh market-feed --release"


def test_load_is_taken_off_although_the_api_does_not_answer_and_that_is_said_at_the_end(docker: Docker):
    address = f"http://127.0.0.1:{free_ports(1)[0]}"

    done = docker.run("performance-emergency.sh", NAUTILUS_ADDRESS=address)

    assert done.returncode == 1
    assert "warning: The cache was not changed: the API does not answer." in done.stderr
    assert "Put everything back" in done.stdout
    first, *_ = (call for call in docker.asked if call.startswith(("stop", "exec")))
    assert " psql " in first  # idle transactions are ended before anything is stopped


def test_what_was_stopped_is_put_back_although_the_api_does_not_answer(docker: Docker):
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    (noted := Path(docker.variables["NAUTILUS_HOME"]) / "performance-emergency").parent.mkdir()
    noted.write_text("flower\n")

    done = docker.run("performance-emergency.sh", "--restore", NAUTILUS_ADDRESS=address)

    assert (done.returncode, noted.exists()) == (1, False)
    assert docker.asked[-1].endswith(" flower")


def test_verification_without_room_on_the_disk_of_postgresql_is_refused(docker: Docker, tmp_path: Path):
    done = docker.run("backup.sh", "--verify", "--to", str(tmp_path / "backups"), DOCKER_FREE_KB="0")

    assert done.returncode == 1
    assert "--verify needs 0 MB, 2.5 times the database." in done.stderr


def test_sessions_of_a_backup_have_its_name(docker: Docker, tmp_path: Path):
    docker.run("backup.sh", "--to", str(tmp_path / "backups"))

    asked = [call for call in docker.asked if " postgres " in call]
    assert asked
    assert all("-e PGAPPNAME=nautilus_backup postgres" in call for call in asked)


# --- Restore: where a step fails ------------------------------------------------------------------------------


@pytest.fixture
def empty_backup(tmp_path: Path) -> Path:
    folder = tmp_path / "nautilus-20261128T000000Z"
    folder.mkdir()
    facts = {"format": 1, "made_at": "then", "code": "1", "server_major": 1, "tables": {}, "migrations": []}
    content = {"manifest.json": json.dumps(facts), "database.dump": "the dump"}
    for name, text in content.items():
        (folder / name).write_text(text)
    sums = [f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in content.items()]
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder


def test_services_start_again_where_the_dump_cannot_be_loaded(docker: Docker, empty_backup: Path):
    done = docker.run("restore.sh", str(empty_backup), "--force", DOCKER_FAILS="pg_restore --exit-on-error")

    assert done.returncode == 1
    assert "The restore failed; the database nautilus is as it was." in done.stderr
    assert docker.asked[-1].startswith("up --detach --no-deps --no-recreate --wait alert-sender ")


def test_restore_whose_last_steps_fail_says_what_is_left_to_do(docker: Docker, empty_backup: Path):
    done = docker.run("restore.sh", str(empty_backup), "--force", DOCKER_FAILS="manage.py migrate")

    assert done.returncode == 1
    left = done.stderr.partition("Restored; then, in this order:\n")[2].splitlines()
    assert left[:2] == ["  scripts/manage.sh migrate --noinput", "  scripts/restart-service.sh alert-sender"]
    assert re.fullmatch(r"The replaced data are in the database nautilus_before_\w+\.", left[-1])


def test_restore_stops_nothing_where_redis_does_not_answer(docker: Docker, empty_backup: Path):
    done = docker.run("restore.sh", str(empty_backup), "--force", DOCKER_FAILS="redis-cli ping")

    assert done.returncode == 1
    assert "Redis does not answer" in done.stderr
    assert not any(call.startswith("stop") for call in docker.asked)


# --- On the tests' own PostgreSQL and Redis -------------------------------------------------------------------


Run = Callable[..., "subprocess.CompletedProcess[str]"]
# Its dump cannot be loaded: pg_restore has no search path, and then the function does not find its table.
NOT_LOADABLE = """
CREATE TABLE django_migrations (id int, app text, name text);
CREATE FUNCTION known(name text) RETURNS bool LANGUAGE plpgsql AS
    'BEGIN RETURN NOT EXISTS (SELECT FROM django_migrations WHERE app = $1); END';
CREATE TABLE checked (name text CHECK (known(name)));
INSERT INTO checked VALUES ('one');
"""


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of a database of the test's own, whose dump cannot be loaded."""
    server, _, _ = os.environ["DATABASE_URL"].partition("?")[0].rpartition("/")
    options = os.environ["DATABASE_URL"].partition("?")[2]
    name = f"scripts_{os.getpid()}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        url = f"{server}/{name}?{options}"
        with psycopg.connect(url) as own:
            own.execute(NOT_LOADABLE)
        yield url
        assert left_databases(connection) == []
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def left_databases(connection: "psycopg.Connection") -> list[Any]:
    return connection.execute(
        "SELECT datname FROM pg_database WHERE datname ~ '^nautilus_(verify|restore)_'"
    ).fetchall()


@pytest.fixture
def run_here(database: str, tmp_path: Path) -> Run:
    here = {"DATABASE_URL": database, "REDIS_URL": os.environ["REDIS_URL"], "NAUTILUS_MODE": "local"}
    return lambda name, *arguments: run_script(name, *arguments, NAUTILUS_HOME=str(tmp_path), **here)


@pytest.mark.slow
def test_dump_that_cannot_be_loaded_leaves_no_database_behind(run_here: Run, tmp_path: Path):
    made = run_here("backup.sh", "--to", str(tmp_path / "backups"))
    assert made.returncode == 0, made.stderr

    restored = run_here("restore.sh", made.stdout.splitlines()[-1], "--force")
    verified = run_here("backup.sh", "--to", str(tmp_path / "backups"), "--verify")

    assert (restored.returncode, verified.returncode) == (1, 1)
    assert "The restore failed" in restored.stderr
    assert "unbound variable" not in restored.stderr + verified.stderr


def test_idle_transaction_of_a_backup_is_left_alone(run_here: Run, database: str):
    with (
        psycopg.connect(database, application_name="nautilus_backup") as backup,
        psycopg.connect(database, application_name="somebody") as other,
    ):
        pids = [connection.execute("SELECT pg_backend_pid()").fetchone()[0] for connection in (backup, other)]

        said = run_here("performance-emergency.sh", "--idle-seconds", "0", "--dry-run").stdout

    assert [f"would end pid {pid}," in said for pid in pids] == [False, True]


@pytest.mark.slow
def test_postgresql_that_takes_connections_and_answers_none_is_given_up(tmp_path: Path):
    """As one that is held by SIGSTOP: the kernel takes the connection for it."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        url = f"postgresql://nautilus:x@127.0.0.1:{held.getsockname()[1]}/nautilus"
        done = run_script("backup.sh", DATABASE_URL=url, NAUTILUS_HOME=str(tmp_path), NAUTILUS_MODE="local")

    assert done.returncode == 1
    assert "PostgreSQL does not answer" in done.stderr


# --- Parts ------------------------------------------------------------------------------------------------------


def test_supervisord_that_says_nothing_is_a_failure():
    said = run_function("MODE=local STATES='' && check_processes")

    assert said.startswith("processes\tFAIL\tsupervisord does not say what runs\t")


def test_platform_that_a_script_starts_runs_no_sample_jobs(tmp_path: Path):
    program, called = tmp_path / ".venv/bin/python", tmp_path / "called"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho "$@" >{called}.new\nmv {called}.new {called}\n')
    program.chmod(0o755)

    run_function(f"ROOT={tmp_path} local_launch", NAUTILUS_HOME=str(tmp_path / "home"))

    wait_until(called.exists, 30, "the launcher to be called")
    assert called.read_text() == "-m nautilus.local run --no-jobs\n"


def test_socket_by_tls_is_opened_where_the_certificate_is_of_this_machine(tmp_path: Path):
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    request = f"req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=here -keyout {key} -out {certificate}"
    subprocess.run(["openssl", *request.split()], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    with web_that_says("well", context) as port:
        said = run_function(f"python $LIB/socket_probe.py wss://127.0.0.1:{port}/ws/system/health")

    assert said == "well\n"


@contextmanager
def web_that_says(text: str, context: ssl.SSLContext) -> Iterator[int]:
    with serve(lambda connection: connection.send(text), "127.0.0.1", 0, ssl=context) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.socket.getsockname()[1]

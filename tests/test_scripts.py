"""The operators' scripts without a platform: help, usage, what they would do, and how they call Docker."""

import hashlib
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from nautilus.local.home import ROOT
from nautilus.local.procfile import read_procfile
from tests.running import free_ports
from tests.scripting import run_script
from tests.standing_in_for_docker import SERVICES, Docker

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

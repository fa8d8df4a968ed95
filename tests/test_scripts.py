"""The operators' scripts without a platform: help, usage, what they would do, and how they call Docker.

No Docker engine is at hand: a program of the name `docker` stands first on the PATH, writes down how it is called, and
answers as `docker compose` does. That shows what would be asked of Docker, and not that Docker does it.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from nautilus.local.home import ROOT
from nautilus.local.procfile import read_procfile
from tests.scripting import run_script

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
printf '%s\\n' "$*" >>"$DOCKER_CALLS"
case "$*" in
    *" ps --all --format json") cat "$DOCKER_STATES" ;;
    *" ps --format json") grep '"running"' "$DOCKER_STATES" ;;
    *" ps --services --status running") printf 'backend\\npostgres\\n' ;;
    *" ps --quiet") echo 0123456789ab ;;
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
        }

    def states_are(self, other: dict[str, str]) -> None:
        lines = [
            {"Service": name, "State": other.get(name, "running"), "Health": "", "Name": f"nautilus-{name}-1"}
            for name in SERVICES
        ]
        self.states_file.write_text("".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines))

    def run(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return run_script(name, *arguments, **self.variables)

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

"""docker/compose.yaml against the Compose specification, the contract, the Procfile and the settings."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from nautilus.local.home import ROOT

DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SCHEMA = json.loads((Path(__file__).parent / "schema" / "compose-spec.json").read_text())
EXAMPLE = (DOCKER / ".env.example").read_text()
CONTRACT = (ROOT / "docs" / "contract.md").read_text()

OURS = [name for name, service in SERVICES.items() if "nautilus" in service["image"]]
SCALED = [
    "backend",
    "websocket-handler",
    "risk-worker",
    "analytics-worker",
    "strategy-deployer",
    "maintenance-worker",
    "alert-sender",
    "analytics-engine",
    "scheduler",
]
# Read by others than our settings: images, compose itself, Django, prometheus_client.
OF_OTHERS = {"NAUTILUS_IMAGE", "NAUTILUS_BIND", "NAUTILUS_FEED"}
PORTS = {
    "frontend": {3000, 8001},
    "postgres": {5432},
    "redis": {6379},
    "prometheus": {9090},
    "grafana": {3001},
    "flower": {5555},
}


def host_ports(service: dict[str, Any]) -> dict[int, str]:
    """Published port to the address that it is published on."""
    split = (re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", port).split(":") for port in service.get("ports", []))
    return {int(port): address for address, port, _ in split}


def names_of_settings() -> set[str]:
    source = (ROOT / "platform" / "nautilus" / "variables.py").read_text()
    return set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source)) | set(
        re.findall(r'os\.environ\.get\("([A-Z_]+)"', source)
    )


def documented(row: str) -> list[str]:
    (line,) = [line for line in CONTRACT.splitlines() if line.startswith(f"| {row} |")]
    return re.findall(r"`([^`]+)`", line)


@pytest.mark.parametrize("name", ["compose.yaml", "compose.tls.yaml"])
def test_compose_file_keeps_to_the_specification(name: str) -> None:
    jsonschema.validate(yaml.safe_load((DOCKER / name).read_text()), SCHEMA)


def test_every_service_and_container_name_of_the_contract_is_there() -> None:
    names = documented("Compose services")
    containers = {name for name in names if name.startswith("nautilus-")}
    assert set(names) - containers <= set(SERVICES)
    assert {service["container_name"] for service in SERVICES.values() if "container_name" in service} == containers


def test_ports_are_those_of_the_contract() -> None:
    published = {name: set(host_ports(service)) for name, service in SERVICES.items() if service.get("ports")}
    assert published == PORTS
    (line,) = [line for line in CONTRACT.splitlines() if line.startswith("| Ports |")]
    assert {int(port) for port in re.findall(r"\b\d{4}\b", line)} == {
        port for ports in PORTS.values() for port in ports
    }


def test_nothing_listens_to_the_world_unless_it_is_said() -> None:
    assert {address for service in SERVICES.values() for address in host_ports(service).values()} == {"127.0.0.1"}


def test_every_process_of_the_procfile_has_a_service_with_its_command() -> None:
    lines = (line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines() if not line.startswith("#"))
    commands = {name: command for name, command in lines if name not in ("postgres", "redis", "web", "flower")}
    ours = {name: SERVICES[name]["command"].replace("${NAUTILUS_FEED:-replay}", "replay") for name in commands}
    assert ours == commands


def test_web_process_of_the_procfile_is_two_services() -> None:
    assert SERVICES["websocket-handler"]["command"] == ["python", "-m", "nautilus.serve"]
    assert SERVICES["backend"]["command"] == ["python", "-m", "nautilus.serve_wsgi"]


@pytest.mark.parametrize("name", SCALED)
def test_what_scales_has_neither_a_name_nor_a_port_of_its_own(name: str) -> None:
    assert not {"container_name", "ports", "hostname"} & SERVICES[name].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_limits_logs_that_rotate_and_a_policy(name: str) -> None:
    service = SERVICES[name]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert service["restart"].startswith("on-failure" if name == "migrate" else "unless-stopped")
    assert service["healthcheck"]


@pytest.mark.parametrize("name", OURS)
def test_our_processes_may_do_nothing_that_they_need_not(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", OURS)
def test_our_processes_start_after_the_migrations(name: str) -> None:
    conditions = {other: said["condition"] for other, said in SERVICES[name]["depends_on"].items()}
    assert conditions.pop("migrate", None) == (None if name == "migrate" else "service_completed_successfully")
    assert conditions == {"postgres": "service_healthy", "redis": "service_healthy"}


def test_who_waits_for_health_waits_for_somebody_who_has_it() -> None:
    for service in SERVICES.values():
        for other, said in service.get("depends_on", {}).items():
            if said["condition"] == "service_healthy":
                assert "test" in SERVICES[other]["healthcheck"]


def test_workers_have_more_time_to_end_than_their_soft_shutdown_takes(settings: Any) -> None:
    for name in OURS:
        assert (
            int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
            > settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT + 5
        )


def test_a_task_that_asks_for_too_much_fails_before_the_kernel_kills() -> None:
    for name in ("risk-worker", "analytics-worker", "strategy-deployer", "maintenance-worker"):
        service = SERVICES[name]
        slots = int(re.findall(r" -c (\d+) ", service["command"])[0])
        tasks_mb = slots * int(service["environment"]["NAUTILUS_WORKER_MEMORY_LIMIT_MB"])
        sandboxes_mb = 512 * slots if name == "strategy-deployer" else 0
        assert tasks_mb + sandboxes_mb + 300 <= megabytes(service["deploy"]["resources"]["limits"]["memory"]), name


def megabytes(text: str) -> int:
    return int(text[:-1]) * {"M": 1, "G": 1024}[text[-1]]


def test_no_secret_stands_in_the_environment() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", name):
                assert str(value).startswith("/run/secrets/"), name
            assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), name


def test_secrets_that_are_mounted_are_defined_and_made() -> None:
    mounted = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert mounted == set(COMPOSE["secrets"])
    script = (DOCKER / "make-secrets.sh").read_text()
    assert mounted == set(re.findall(r"^make_secret (\w+)", script, re.MULTILINE))
    for service in SERVICES.values():
        read = {
            str(value).removeprefix("/run/secrets/")
            for value in service.get("environment", {}).values()
            if str(value).startswith("/run/secrets/")
        }
        assert read <= set(service.get("secrets", []))


@pytest.mark.parametrize("name", OURS)
def test_disks_in_memory_are_not_full_from_the_start(name: str) -> None:
    """Of the folders that health looks at; an empty disk of half the size would be a full one to it."""
    from apps.operations.checks.disk import TOO_LITTLE_BYTES

    sizes = [re.search(r"size=(\d+)m", disk) for disk in SERVICES[name].get("tmpfs", [])]
    assert all(size and int(size[1]) * 2**20 >= 2 * TOO_LITTLE_BYTES for size in sizes)


def test_files_and_folders_that_are_mounted_exist() -> None:
    for service in SERVICES.values():
        for source in (volume.split(":")[0] for volume in service.get("volumes", [])):
            assert (DOCKER / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], source


def test_every_variable_of_ours_is_one_that_the_settings_read() -> None:
    given = {name for service in OURS for name in SERVICES[service]["environment"]}
    ours = {name.removesuffix("_FILE") for name in given | set(re.findall(r"^([A-Z_]+)=", EXAMPLE, re.MULTILINE))}
    ours = {
        name for name in ours if re.match("NAUTILUS_|DATABASE_|REDIS_(URL|PASS)|PROMETHEUS_MULTI", name)
    } - OF_OTHERS
    assert ours - names_of_settings() == set()


@pytest.mark.parametrize("name", OURS)
def test_what_must_be_set_is_set(name: str) -> None:
    given = {variable.removesuffix("_FILE") for variable in SERVICES[name]["environment"]}
    assert given >= {"NAUTILUS_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "NAUTILUS_ALLOWED_HOSTS"}


def test_example_says_every_variable_with_the_default_that_compose_has() -> None:
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    used = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", (DOCKER / "compose.yaml").read_text()))
    assert {name: example.get(name) for name in used} == used


def test_example_has_the_defaults_of_the_settings(settings: Any) -> None:
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert int(example["NAUTILUS_HTTP_PROCESSES"]) == settings.HTTP_PROCESSES
    assert int(example["NAUTILUS_HTTP_THREADS"]) == settings.HTTP_THREADS
    assert int(example["NAUTILUS_MAX_CONNECTIONS"]) == settings.WEBSOCKET_MAX_CONNECTIONS
    assert int(example["NAUTILUS_MAX_PRICE_AGE_SECONDS"]) == settings.MAX_PRICE_AGE_SECONDS


def test_settings_take_what_compose_and_the_example_give(tmp_path: Path) -> None:
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    given = SERVICES["backend"]["environment"]
    filled = {
        name: re.sub(r"\$\{(\w+):-[^}]*\}", lambda match: example[match[1]], str(value))
        for name, value in given.items()
    }
    (tmp_path / "secret").write_text("a-secret-of-the-tests-that-is-long-enough\n")
    ours = {name: str(tmp_path / "secret") if name.endswith("_FILE") else value for name, value in filled.items()}
    places = {"NAUTILUS_HOME": str(tmp_path), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    environment = {**example, **ours, **places, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "ERROR"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_line_of_the_example_is_explained() -> None:
    lines = EXAMPLE.splitlines()
    images = [line for line in lines if re.match(r"\w+_IMAGE=", line)]
    for number, line in enumerate(lines):
        if "=" in line and not line.startswith("#") and line not in images:
            above = [lines[number - back] for back in (1, 2) if number >= back]
            assert any(text.startswith("# ") for text in above), line

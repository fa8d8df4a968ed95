"""The web process, a worker, a scheduler and an engine on a database of their own: enough to follow a request by."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
from django.conf import settings
from django.db import connection

from apps.portfolios.tests.factories import make_group, make_portfolio, make_prices, make_trade
from nautilus.api.access import ADMIN
from nautilus.local.home import ROOT
from tests.running import free_ports, wait_until

COMMANDS = {
    "web": "nautilus.serve --port {port}",
    "worker": "celery -A nautilus worker -n worker@%h -Q risk_queue,maintenance_queue -c 1 --without-mingle",
    "scheduler": "celery -q -A nautilus beat --pidfile=",
    "engine": "django run_analytics_engine",
}


@dataclass(slots=True)
class Processes:
    port: int
    logs: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def lines(self, name: str) -> list[str]:
        return (self.logs / f"{name}.log").read_text().splitlines()


@contextmanager
def running_processes(folder: Path, **ours: str) -> Iterator[Processes]:
    """Each with its standard error in a file of its own, until the block ends."""
    (port,) = free_ports(1)
    environment = {
        **os.environ,
        "NAUTILUS_LOCAL_OPERATOR": "1",
        "REMAP_SIGTERM": "SIGQUIT",
        "NAUTILUS_HOME": str(folder),
    }
    environment |= {"PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}", "DJANGO_SETTINGS_MODULE": "nautilus.settings", **ours}
    processes = Processes(port, folder)
    with ExitStack() as stack:
        for name, command in COMMANDS.items():
            stack.enter_context(_running(name, command.format(port=port).split(), environment, folder))
        wait_until(lambda: _answers(processes), 120, "the web process to answer")
        yield processes


@contextmanager
def _running(name: str, command: list[str], environment: dict[str, str], folder: Path) -> Iterator[None]:
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env={**environment, "NAUTILUS_PROCESS": name},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()


def _answers(processes: Processes) -> bool:
    try:
        return httpx.get(f"http://{processes.address}/health", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def own_database(name: str, fill: Callable[[], None]) -> Iterator[str]:
    """A copy of the tests' database, filled; its URL."""
    template, server = connection.settings_dict["NAME"], settings.DATABASE_URL
    connection.close()
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE {name} TEMPLATE "{template}"')
        try:
            _fill(name, fill)
            yield server[: server.rindex("/") + 1] + name
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _fill(name: str, fill: Callable[[], None]) -> None:
    before = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = name
    try:
        fill()
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before


def open_book(portfolio_id: str) -> None:
    """With one holding and five days of prices."""
    make_group(ADMIN)
    make_prices()
    make_trade(make_portfolio(portfolio_id))

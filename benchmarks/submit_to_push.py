"""From sending a request to holding its pushed result, beside a bare Celery `delay().get()` on the same Valkey."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import interleaved, ratio, spread
from nautilus.local.environment import local_secrets
from nautilus.local.home import ROOT
from nautilus_client import Client
from tests.running import ANALYZE, Platform, running_platform, wait_until

TITLE = "Submit to pushed result, one portfolio"
OURS, OURS_TOKEN = "ours, local operator", "ours, bearer token"
BARE, BARE_VAR = "bare Celery delay().get(), nothing", "bare Celery delay().get(), same VaR"


def run(rounds: int, calls: int) -> dict[str, Any]:
    """Interleaved rounds of each; milliseconds."""
    home = Path(tempfile.mkdtemp(prefix="nautilus-bench-"))
    with running_platform(home) as platform, bare_worker(platform) as bare, clients(platform) as ours:
        callers: dict[str, Callable[[], None]] = {**ours, **bare}
        series = interleaved(callers, rounds, calls, unit=1e-3)
    figures = {name: {**one.figures(), "ratio": ratio(one, series[BARE])} for name, one in series.items()}
    return {
        "title": TITLE,
        "unit": "ms",
        "goal": f"p50 of {OURS!r} at most 3 times that of {BARE!r}",
        "series": figures,
    }


@contextmanager
def clients(platform: Platform) -> Iterator[dict[str, Callable[[], None]]]:
    token = _token(platform)
    bearer = {"Authorization": f"Bearer {token}"}
    with (
        platform.client() as local,
        platform.client() as remote,
        Client(platform.socket_address) as local_sockets,
        Client(platform.socket_address, token=token) as remote_sockets,
    ):
        remote.headers.update(bearer)
        yield {
            OURS: lambda: submit_and_hear(local, local_sockets),
            OURS_TOKEN: lambda: submit_and_hear(remote, remote_sockets),
        }


def _token(platform: Platform) -> str:
    credentials = {"username": "admin", "password": local_secrets(platform.home)["admin_password"]}
    with platform.client() as client:
        return str(client.post("/api/v1/auth/token", json=credentials).json()["token"])


def submit_and_hear(client: httpx.Client, sockets: Client) -> None:
    """As a client does it: POST, subscribe to the answer's topic from its beginning, read until it has ended."""
    task_id = client.post(ANALYZE, json={"portfolio_id": "PORTFOLIO_001"}).json()["task_id"]
    task = sockets.wait_for_task(task_id, timeout=30)
    if task["result"] is None:
        raise RuntimeError(f"the job failed: {task['error']}")


@contextmanager
def bare_worker(platform: Platform) -> Iterator[dict[str, Callable[[], None]]]:
    os.environ["BARE_CELERY_URL"] = platform.redis_url.rsplit("/", 1)[0] + "/1"
    from benchmarks.bare_celery import app, nothing, var

    flags = ["worker", "-c", "2", "--pool", "prefork", "--without-gossip", "--without-mingle", "--loglevel", "ERROR"]
    log = (platform.home.path / "bare-celery.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "benchmarks.bare_celery", *flags],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
        stderr=subprocess.STDOUT,
        stdout=log,
    )
    try:
        wait_until(lambda: app.control.ping(timeout=0.5), 30, "the bare worker")
        yield {BARE: lambda: nothing.delay().get(timeout=30), BARE_VAR: lambda: var.delay().get(timeout=30)}
    finally:
        process.terminate()
        process.wait(30)


def show(console: Console, answer: dict[str, Any]) -> None:
    table = Table("", "p50 ms", "p95 ms", "spread of p50", "ratio to bare", title=answer["title"])
    for name, one in answer["series"].items():
        table.add_row(name, f"{one['p50']:.2f}", f"{one['p95']:.2f}", spread(one), f"{one['ratio']:.2f}")
    console.print(table)
    console.print(f"Goal: {answer['goal']}.", highlight=False)

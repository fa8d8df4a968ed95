"""Django under uvicorn with a2wsgi (nautilus.serve), under granian (nautilus.serve_wsgi), and with nginx before it."""

import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from nautilus.local.home import ROOT
from nautilus.local.servers import running_servers
from tests.docker.front import Site
from tests.docker.names import served_names
from tests.docker.proxied import Upstream, running_nginx
from tests.running import free_ports

TITLE = "Servers of HTTP: requests a second and processor time of the server, 8 callers"
PATH = "/api/v1/auth/me"
CALLERS = 8
ASGI, WSGI, NGINX = "uvicorn and a2wsgi", "granian", "granian behind nginx"
PASSWORD = "a-password-of-the-benchmark"
PREPARATION = """
import django
from django.core.management import call_command
django.setup()
call_command("migrate", verbosity=0)
call_command("ensure_local_users")
"""


@dataclass(slots=True)
class Contender:
    """`pid` is of the server of Django, also behind nginx."""

    port: int
    address: str
    pid: int
    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def forget(self) -> None:
        self.rates.clear()
        self.cpu_ms.clear()

    def cpu_seconds(self) -> float:
        process = psutil.Process(self.pid)
        times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
        return sum(time.user + time.system for time in times)

    def figures(self) -> dict[str, Any]:
        return {
            "requests_per_second": statistics.median(self.rates),
            "rounds": self.rates,
            "server_cpu_ms_per_request": statistics.median(self.cpu_ms),
            "server_cpu_ms_rounds": self.cpu_ms,
        }


def run(rounds: int, calls: int) -> dict[str, Any]:
    """Interleaved rounds after a warm-up; every caller sends `calls` requests a round over a connection that stays."""
    home = Path(tempfile.mkdtemp(prefix="nautilus-bench-"))
    home.chmod(0o755)
    load_before = os.getloadavg()
    with ExitStack() as stack:
        servers = stack.enter_context(running_servers(home / "servers", fsync=False))
        environment = _environment(home, servers.database_url, servers.redis_url)
        token, contenders = stack.enter_context(_contenders(home, environment))
        for contender in contenders.values():
            _round(contender, token, max(1, calls // 4))
            contender.forget()
        for _ in range(rounds):
            for contender in contenders.values():
                _round(contender, token, calls)
    figures = {name: contender.figures() for name, contender in contenders.items()}
    load = {"before": load_before, "after": os.getloadavg()}
    return {"title": TITLE, "path": PATH, "callers": CALLERS, "series": figures, "load": load}


def _environment(home: Path, database_url: str, redis_url: str) -> dict[str, str]:
    ours = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "NAUTILUS_HOME": str(home),
        "NAUTILUS_SECRET_KEY": "only-for-benchmarks-only-for-benchmarks",
        "NAUTILUS_ALLOWED_HOSTS": "localhost,127.0.0.1",
        "NAUTILUS_HTTPS_ONLY": "0",
        "NAUTILUS_LOG_LEVEL": "WARNING",
        "NAUTILUS_ADMIN_PASSWORD": PASSWORD,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
        "DJANGO_SETTINGS_MODULE": "nautilus.settings",
    }
    return {**os.environ, **ours}


@contextmanager
def _contenders(home: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Contender]]]:
    subprocess.run([sys.executable, "-c", PREPARATION], cwd=ROOT, env=dict(environment), check=True)
    (port,) = free_ports(1)
    granian = Upstream("nautilus.serve_wsgi", "127.0.1.1", port, environment)
    uvicorn = Upstream("nautilus.serve", "127.0.2.1", port, environment)
    with ExitStack() as stack:
        for upstream in (granian, uvicorn):
            upstream.start()
            stack.callback(upstream.stop)
        for upstream in (granian, uvicorn):
            upstream.wait_until_ready()
        names = stack.enter_context(served_names(home, Site.addresses([granian], [uvicorn])))
        front = stack.enter_context(running_nginx(home / "nginx", names, port))
        assert granian.process is not None
        assert uvicorn.process is not None
        yield (
            _token(granian),
            {
                ASGI: Contender(port, uvicorn.address, uvicorn.process.pid),
                WSGI: Contender(port, granian.address, granian.process.pid),
                NGINX: Contender(front.port, "127.0.0.1", granian.process.pid),
            },
        )


def _token(upstream: Upstream) -> str:
    credentials = {"username": "admin", "password": PASSWORD}
    answer = httpx.post(f"{upstream.url}/api/v1/auth/token", json=credentials, headers={"Host": "localhost"})
    return str(answer.json()["token"])


def _round(contender: Contender, token: str, calls: int) -> None:
    threads = [threading.Thread(target=_call, args=(contender, token, calls)) for _ in range(CALLERS)]
    used, begun = contender.cpu_seconds(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    requests = CALLERS * calls
    contender.rates.append(requests / (time.perf_counter() - begun))
    contender.cpu_ms.append((contender.cpu_seconds() - used) / requests * 1e3)


def _call(contender: Contender, token: str, calls: int) -> None:
    connection = http.client.HTTPConnection(contender.address, contender.port, timeout=30)
    for _ in range(calls):
        connection.request("GET", PATH, headers={"Host": "localhost", "Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{PATH}: {answer.status} {text[:300]!r}")


def show(console: Console, answer: dict[str, Any]) -> None:
    table = Table(title=answer["title"])
    for heading in ("server", "requests/s", "rounds", "server's CPU ms a request"):
        table.add_column(heading, justify="right" if heading != "server" else "left")
    for name, figures in answer["series"].items():
        spread = f"{min(figures['rounds']):.0f} to {max(figures['rounds']):.0f}"
        cpu_ms = f"{figures['server_cpu_ms_per_request']:.2f}"
        table.add_row(name, f"{figures['requests_per_second']:.0f}", spread, cpu_ms)
    console.print(table)

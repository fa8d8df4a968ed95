"""Server processes of the web application for tests of the sockets: to kill, to weigh, and to read the log of."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection

from nautilus.api.access import ADMIN
from nautilus.local.home import ROOT
from tests.running import free_ports, wait_until

FAULTS = ("Traceback", "Exception in ASGI", "500 Internal", "was never retrieved", "was never awaited")


class WebProcess:
    """Whoever asks from this machine without credentials is the local operator, and may follow any topic."""

    def __init__(self, log: Path, **environment: str) -> None:
        (self.port,) = free_ports(1)
        self._log = log
        self._environment = environment
        self._lines_seen = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "nautilus.serve", "--port", str(self.port)],
                cwd=ROOT,
                env=self._variables(),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )
        wait_until(self._answers, 60, f"the web process to answer; its log: {self._log}")

    def _variables(self) -> dict[str, str]:
        database = settings.DATABASE_URL.rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"
        ours = {"NAUTILUS_LOCAL_OPERATOR": "1", "DATABASE_URL": database}
        return {**os.environ, **ours, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}", **self._environment}

    def _answers(self) -> bool:
        assert self._running.poll() is None, self._log.read_text()[-2000:]
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health", trust_env=False).status_code < 500
        except httpx.HTTPError:
            return False

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "The web process was not started"
        return self._process

    def kill(self) -> None:
        self._running.kill()
        self._running.wait()

    def stop(self) -> None:
        self._running.send_signal(signal.SIGTERM)
        self._running.wait(30)

    def resident_bytes(self) -> int:
        return int(psutil.Process(self._running.pid).memory_info().rss)

    def faults(self) -> list[str]:
        """Lines that have come into the log since the last look and that no client may be able to cause."""
        lines = self._log.read_text(errors="replace").splitlines()
        new, self._lines_seen = lines[self._lines_seen :], len(lines)
        # uvicorn writes a traceback of its own for each text that is not UTF-8, and closes the socket rightly.
        told = zip(["", *new], new, strict=False)
        return [line for before, line in told if _is_fault(line) and "Invalid UTF-8 sequence received" not in before]


def _is_fault(line: str) -> bool:
    return any(word in line for word in FAULTS)


@contextmanager
def web_process(log: Path, **environment: str) -> Iterator[WebProcess]:
    web = WebProcess(log, **environment)
    Group.objects.get_or_create(name=ADMIN)  # the local operator's; a test with transaction=True leaves no roles
    try:
        web.start()
        yield web
    finally:
        if web._process is not None:
            web.kill()


@contextmanager
def web_process_of_a_module(log: Path, blocker: Any) -> Iterator[WebProcess]:
    """One for many tests, which must ask no database but by `pytest.mark.django_db`: without it there is none."""
    with blocker.unblock():
        with web_process(log) as running:
            yield running
        User.objects.all().delete()  # the local operator, whom the server made

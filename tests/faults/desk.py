"""The platform that the symptoms are tried on: short of patience, small in its sizes, its alerts caught on this machine."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from nautilus.local.home import Home
from tests.running import Platform, running_platform, wait_until

HEALTH = "/api/v1/sprint3/system/health"
DATABASE_DISK_BYTES = 1_500 * 2**20

SETTINGS = {
    "NAUTILUS_TASK_TIME_LIMIT_SECONDS": "10",
    "NAUTILUS_MONITOR_INTERVAL_SECONDS": "2",
    "NAUTILUS_MAX_CONNECTIONS": "40",
    "NAUTILUS_HEARTBEAT_SECONDS": "2",
    "NAUTILUS_ALERT_OPEN_HOSTS": "127.0.0.1",
    "NAUTILUS_ALERT_TIMEOUT_SECONDS": "2",
    "NAUTILUS_DEPLOYMENT_STUCK_MINUTES": "1",
}


@dataclass(slots=True)
class Desk:
    platform: Platform

    def health(self) -> dict[str, Any]:
        with self.platform.client() as client:
            return client.get(HEALTH, timeout=10).json()

    def component(self, name: str) -> dict[str, Any]:
        """One component's part of the health; empty where the web process does not answer."""
        try:
            return self.health()["components"].get(name, {})
        except (httpx.HTTPError, ValueError):
            return {}

    def wait_for_symptom(self, name: str, section: str, seconds: float) -> dict[str, Any]:
        """Waits until the component says the symptom of a section of the runbook, and answers with what it says."""

        def seen() -> dict[str, Any] | None:
            said = self.component(name)
            told = said.get("findings", [])
            return next((one for one in told if one["link"].endswith(f"#{section}")), None)

        return wait_until(seen, seconds, f"{name} to say {section}", pause_seconds=0.25)

    def wait_until_healthy(self, name: str, seconds: float) -> None:
        wait_until(lambda: self.component(name).get("status") == "healthy", seconds, f"{name} to be healthy again", 0.25)


@contextmanager
def running_desk(home: Path, **settings: str) -> Iterator[Desk]:
    """A platform whose whole home is a small disk of its own, so that it can be filled."""
    with small_disk(home, DATABASE_DISK_BYTES), running_platform(home, **{**SETTINGS, **settings}) as platform:
        yield Desk(platform)


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[None]:
    """A tmpfs on the folder; root alone may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=711", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def home_of(desk: Desk) -> Home:
    return desk.platform.home

"""The platform that the symptoms are tried on: short of patience, small in size, its alerts kept on this machine."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.running import Platform, free_ports, running_platform, wait_until

HEALTH = "/api/v1/sprint3/system/health"
HOME_BYTES = 1_500 * 2**20

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
    """`mail_port` is where the platform sends mail to: nobody listens there unless a test does."""

    platform: Platform
    mail_port: int

    def ask(self, method: str, path: str, status: int = 200, **how: Any) -> dict[str, Any]:
        with self.platform.client() as client:
            answer = client.request(method, path, **how)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else {}

    def ended_task(self, accepted: dict[str, Any], seconds: float = 90.0) -> dict[str, Any]:
        """The task of a 202, once it has ended."""

        def ended() -> dict[str, Any] | None:
            task = self.ask("GET", accepted["status_url"], params={"wait": 20})
            return task if task["status"] != "processing" else None

        return wait_until(ended, seconds, f"task {accepted['task_id']} to end")

    def reads(self) -> bool:
        """Whether the API answers from the database."""
        with suppress(httpx.HTTPError), self.platform.client() as client:
            return client.get("/api/v1/portfolios").status_code == 200
        return False

    def health(self) -> dict[str, Any]:
        with self.platform.client() as client:
            return client.get(HEALTH, timeout=10).json()

    def component(self, name: str) -> dict[str, Any]:
        """One component's part of the health; empty where the web process does not answer."""
        try:
            return self.health()["components"].get(name, {})
        except (httpx.HTTPError, ValueError):
            return {}

    def wait_for_symptom(self, name: str, section: str, seconds: float, about: str = "") -> dict[str, Any]:
        """Waits until the component says the symptom of a section of the runbook, and answers with what it says.

        `about` must stand in the symptom: of workers, what happened to another one may still be told.
        """

        def seen() -> dict[str, Any] | None:
            said = self.component(name)
            told = said.get("findings", [])
            return next((one for one in told if one["link"].endswith(f"#{section}") and about in one["symptom"]), None)

        return wait_until(seen, seconds, f"{name} to say {section}", pause_seconds=0.25)

    def wait_until_healthy(self, name: str, seconds: float) -> None:
        wait_until(
            lambda: self.component(name).get("status") == "healthy", seconds, f"{name} to be healthy again", 0.25
        )


@contextmanager
def running_desk(home: Path, **settings: str) -> Iterator[Desk]:
    """A platform whose whole home is a small disk of its own, so that it can be filled."""
    mail_port, slack_port = free_ports(2)
    far_sides = {
        "NAUTILUS_EMAIL_URL": f"smtp://127.0.0.1:{mail_port}/",
        "NAUTILUS_SLACK_API_URL": f"http://127.0.0.1:{slack_port}/api/",
        "NAUTILUS_SLACK_BOT_TOKEN": "xoxb-of-a-test",
    }
    with small_disk(home, HOME_BYTES), running_platform(home, **{**SETTINGS, **far_sides, **settings}) as platform:
        yield Desk(platform, mail_port)


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[None]:
    """A tmpfs on the folder; root alone may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=711", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)

"""A real Prometheus beside a real run, with the rules of docker/ and the configuration for `make run`."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.monitoring.rules import PROMETHEUS, RULE_FILES
from tests.running import Platform, free_ports, wait_until

START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Prometheus:
    address: str

    def ask(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.address}/api/v1/{path}", params=parameters, timeout=20, trust_env=False)
        said = answer.json()
        assert said["status"] == "success", (path, parameters, said)
        return said["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        return self.ask("query", query=expression)["result"]

    def alert(self, name: str, **labels: str) -> dict[str, Any] | None:
        alerts = [one for one in self.ask("alerts")["alerts"] if one["labels"]["alertname"] == name]
        return next((one for one in alerts if labels.items() <= one["labels"].items()), None)

    def is_up(self) -> bool:
        try:
            return httpx.get(f"{self.address}/-/ready", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def running_prometheus(folder: Path, platform: Platform) -> Iterator[Prometheus]:
    """It scrapes every five seconds, so that a test waits for the rules and not for it."""
    (port,) = free_ports(1)
    configuration = yaml.safe_load((PROMETHEUS / "make-run.yml").read_text())
    configuration["global"] |= {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "5s"}
    configuration["rule_files"] = [str(file) for file in RULE_FILES]
    configuration["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{platform.port}"]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    arguments = [
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(["prometheus", *arguments], stdout=log, stderr=log)
    prometheus = Prometheus(f"http://127.0.0.1:{port}")
    try:
        wait_until(prometheus.is_up, START_SECONDS, "Prometheus to start")
        yield prometheus
    finally:
        process.terminate()
        process.wait(30)

"""docker/nginx in front of real processes: the files as they are, but for where it listens and whom it asks."""

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from nautilus.local.home import ROOT
from tests.docker.names import Names, program
from tests.running import free_ports, wait_until

NGINX_FILES = ROOT / "docker" / "nginx"
START_SECONDS = 170.0


@dataclass(slots=True)
class Upstream:
    """A replica of a service: `python -m MODULE` at an address of its own and the port that all share."""

    module: str
    address: str
    port: int
    environment: Mapping[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", self.module, "--host", self.address, "--port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT, env=dict(self.environment), stderr=subprocess.DEVNULL)

    def wait_until_ready(self) -> None:
        wait_until(self._answers, START_SECONDS, f"{self.module} to answer at {self.url}")

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def _answers(self) -> bool:
        assert self.process is None or self.process.poll() is None, f"{self.module} ended: {self.process}"
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health", headers={"Host": "localhost"}, trust_env=False).status_code < 500
        return False


@dataclass(slots=True)
class Front:
    """nginx as it listens on this machine."""

    port: int
    scheme: str = "http"
    verify: Any = field(default=True)

    def client(self, from_address: str = "127.0.0.1", **headers: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.scheme}://localhost:{self.port}",
            headers=headers,
            transport=httpx.HTTPTransport(local_address=from_address, verify=self.verify),
            timeout=60,
        )


def copied_configuration(folder: Path, listen: str, dns_port: int, upstream_port: int) -> Path:
    """docker/nginx in a folder of the test: its addresses, its listeners and, of /tmp, its own part."""
    shutil.copytree(NGINX_FILES, folder)
    addresses = folder / "addresses.conf"
    text = addresses.read_text().replace("resolver 127.0.0.11 valid=2s", f"resolver 127.0.0.1:{dns_port} valid=1s")
    addresses.write_text(text.replace(":8001;", f":{upstream_port};"))
    (folder / "listen.conf").write_text(listen)
    main = folder / "nginx.conf"
    main.write_text(main.read_text().replace("/tmp/", f"{folder}/").replace("/dev/stdout", f"{folder}/access.log"))
    return main


@contextmanager
def running_nginx(folder: Path, names: Names, upstream_port: int) -> Iterator[Front]:
    (port,) = free_ports(1)
    main = copied_configuration(folder, f"listen 127.0.0.1:{port};\n", names.port, upstream_port)
    with _nginx(main, Front(port)) as front:
        yield front


@contextmanager
def running_tls_nginx(folder: Path, names: Names, upstream_port: int, certificate: Path, key: Path) -> Iterator[Front]:
    """The same with docker/nginx/tls.conf."""
    (port,) = free_ports(1)
    lines = (NGINX_FILES / "tls.conf").read_text().replace("listen 3000 ssl;\n", "")
    listen = lines.replace("listen 8001", f"listen 127.0.0.1:{port}")
    listen = listen.replace("/run/secrets/tls_certificate", str(certificate)).replace("/run/secrets/tls_key", str(key))
    main = copied_configuration(folder, listen, names.port, upstream_port)
    with _nginx(main, Front(port, "https", ssl.create_default_context(cafile=str(certificate)))) as front:
        yield front


@contextmanager
def _nginx(main: Path, front: Front) -> Iterator[Front]:
    log = main.with_name("error.log")
    with log.open("w") as errors:
        process = subprocess.Popen([program("nginx"), "-c", str(main), "-g", "daemon off; user root;"], stderr=errors)
    try:
        wait_until(lambda: _listens(front, process, log), START_SECONDS, "nginx to listen")
        yield front
    finally:
        process.terminate()
        process.wait(10)


def _listens(front: Front, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    with suppress(httpx.TransportError), front.client() as client:
        return bool(client.get("/nothing-asks-an-upstream-here").status_code)
    return False


def environment_with(**settings: str) -> dict[str, str]:
    """This process' own, with settings on top."""
    return {**os.environ, **settings, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}

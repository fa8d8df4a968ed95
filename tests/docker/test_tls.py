"""TLS at nginx: docker/nginx/tls.conf, with processes that speak to https clients alone."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docker.front import Site
from tests.docker.names import served_names
from tests.docker.proxied import Front, Upstream, running_nginx, running_tls_nginx
from tests.running import free_ports

pytestmark = [pytest.mark.platform, pytest.mark.timeout(600)]


@dataclass(slots=True)
class Fronts:
    tls: Front
    plain: Front


@pytest.fixture(scope="module")
def fronts(site_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronts]:
    """nginx with TLS and nginx without, in front of one process with NAUTILUS_HTTPS_ONLY."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = _self_signed(folder)
    (port,) = free_ports(1)
    backend = Upstream("nautilus.serve_wsgi", "127.0.3.1", port, {**site_environment, "NAUTILUS_HTTPS_ONLY": "1"})
    with ExitStack() as stack:
        backend.start()
        stack.callback(backend.stop)
        backend.wait_until_ready()
        names = stack.enter_context(served_names(folder, Site.addresses([backend], [])))
        tls = stack.enter_context(running_tls_nginx(folder / "tls", names, port, certificate, key))
        yield Fronts(tls, stack.enter_context(running_nginx(folder / "plain", names, port)))


def _self_signed(folder: Path) -> tuple[Path, Path]:
    assert shutil.which("openssl"), "openssl is missing: apt install openssl"
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    names = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", *subject, *names]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def test_a_client_by_tls_is_answered_with_cookies_for_tls_alone(fronts: Fronts) -> None:
    with fronts.tls.client() as client:
        assert client.get("/api/v1/auth/me").status_code == 401
        login = client.get("/admin/login/")
    assert login.status_code == 200
    assert "Secure" in login.headers["set-cookie"]
    assert "max-age=31536000" in login.headers["strict-transport-security"]


def test_who_only_claims_to_come_by_tls_is_sent_there(fronts: Fronts) -> None:
    with fronts.plain.client() as client:
        answer = client.get("/api/v1/auth/me", headers={"X-Forwarded-Proto": "https"})
    assert answer.status_code == 301
    assert answer.headers["location"].startswith("https://")


def test_health_is_told_without_tls_too(fronts: Fronts) -> None:
    with fronts.plain.client() as client:
        assert client.get("/health").status_code == 200

"""The health checks of the containers, with a real Redis and real web processes."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest
import redis

from nautilus.local.home import ROOT
from nautilus.pulses import WORKERS_KEY, WorkerPulse, write_worker_pulse
from tests.docker.front import Site
from tests.docker.proxied import environment_with
from tests.running import free_ports


def checked(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "nautilus.container_health", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment_with(**settings), capture_output=True, text=True, check=False
    )


@pytest.fixture
def pulse_of() -> Callable[[str], None]:
    """Writes the pulse of a worker on a host, as nautilus/watchdog.py does."""
    client = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    client.delete(WORKERS_KEY)

    def write(host: str) -> None:
        worker = f"risk-worker@{host}"
        write_worker_pulse(client, WorkerPulse(worker, ("risk_queue",), 1, 2, 0, 0, None, 0.0))

    return write


def test_worker_with_a_pulse_is_healthy(pulse_of: Callable[[str], None]) -> None:
    pulse_of(socket.gethostname())
    done = checked("worker")
    assert (done.returncode, done.stderr) == (0, "")


def test_pulse_of_another_container_does_not_count(pulse_of: Callable[[str], None]) -> None:
    pulse_of("another-container")
    done = checked("worker")
    assert done.returncode == 1
    assert socket.gethostname() in done.stderr


def test_worker_without_redis_is_not_healthy() -> None:
    (port,) = free_ports(1)
    done = checked("worker", REDIS_URL=f"redis://127.0.0.1:{port}/0")
    assert done.returncode == 1
    assert "could not be looked at" in done.stderr


def test_web_process_that_does_not_answer_is_not_healthy() -> None:
    (port,) = free_ports(1)
    assert checked("web", NAUTILUS_PORT=str(port)).returncode == 1


@pytest.mark.platform
def test_backend_and_websocket_handler_are_healthy(site: Site) -> None:
    for upstream in (site.backends[-1], site.handler):
        done = checked("web", "--address", upstream.address, NAUTILUS_PORT=str(upstream.port))
        assert (done.returncode, done.stderr) == (0, "")

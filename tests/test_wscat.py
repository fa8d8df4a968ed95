"""Clients that are not ours, as the README and operators use them: wscat from npm and Python's websockets."""

import json
import subprocess
from pathlib import Path
from subprocess import PIPE, STDOUT

import pytest
from websockets.sync.client import connect

from tests.running import Platform

pytestmark = pytest.mark.platform

WSCAT = Path(__file__).parent / "javascript" / "node_modules" / ".bin" / "wscat"
PING = '{"type":"ping"}'


def test_wscat_prints_the_pong(platform: Platform):
    assert WSCAT.exists(), "wscat is missing: npm ci --prefix tests/javascript. On Debian: apt-get install nodejs npm"
    address = f"ws://localhost:{platform.port}/ws/system/health"
    frames = [json.loads(line) for line in said_by_wscat("-c", address, "-x", PING).splitlines()]
    # A component's state may change just then, and is told as well.
    assert [frame["type"] for frame in frames if frame["type"] != "message"] == ["subscribed", "pong"]


def said_by_wscat(*arguments: str) -> str:
    # It ends at once where its input ends, so the input is held open, as a terminal's is.
    with subprocess.Popen([WSCAT, *arguments], stdin=PIPE, stdout=PIPE, stderr=STDOUT, text=True) as wscat:
        assert wscat.stdout
        said = wscat.stdout.read()
    assert wscat.returncode == 0, said
    return said


def test_websockets_gets_the_pong(platform: Platform):
    with connect(f"ws://localhost:{platform.port}/ws/system/health", proxy=None) as socket:
        assert json.loads(socket.recv(timeout=20))["type"] == "subscribed"
        socket.send(PING)
        types = (json.loads(socket.recv(timeout=20))["type"] for _ in range(10))
        assert next(each for each in types if each != "message") == "pong"

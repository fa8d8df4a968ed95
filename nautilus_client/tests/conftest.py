import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from nautilus_client import Client
from nautilus_client.tests.scripted import ScriptedServer

# Retries that cost a test no time.
QUICK = {"first_retry_seconds": 0.01, "last_retry_seconds": 0.05}


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedServer]]:
    servers: list[ScriptedServer] = []

    def start(*scripts: Any, **options: Any) -> ScriptedServer:
        servers.append(ScriptedServer(*scripts, **options))
        return servers[-1]

    yield start
    for one in servers:
        one.stop()
    for failure in [failure for one in servers for failure in one.failures]:
        raise failure


@pytest.fixture
def open_client() -> Iterator[Callable[..., Client]]:
    with ExitStack() as clients:
        yield lambda url, **options: clients.enter_context(Client(url, **{**QUICK, **options}))


@pytest.fixture
def dead_port() -> int:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]

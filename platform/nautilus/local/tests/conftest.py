"""A home folder of its own for each test, outside pytest's folder: as root, that one is closed to PostgreSQL's user."""

import io
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from nautilus.local.environment import local_environment
from nautilus.local.tests.small_platform import Api
from nautilus.local.tests.small_strategies import SmallStrategies

OURS = ("NAUTILUS_HOME", "NAUTILUS_PORT", "NAUTILUS_FLOWER_PORT", "DATABASE_URL", "REDIS_URL", "NAUTILUS_SECRET_KEY")


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="nautilus-test-")).resolve()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the suite's own settings put there must not answer for us."""
    for name in OURS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return local_environment(home)


@pytest.fixture
def console() -> Console:
    """As in a CI log: no terminal."""
    return Console(file=io.StringIO(), width=116)


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts a platform of a few lines with these portfolios; answers its address."""
    servers = []

    def start(*portfolios: str, strategies: SmallStrategies | None = None) -> str:
        own = {"portfolios": portfolios, "tasks": {}, "strategies": strategies or SmallStrategies()}
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), type("OneTestsApi", (Api,), own)))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,)).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()

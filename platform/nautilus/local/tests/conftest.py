"""A home folder of its own for each test, outside pytest's folder: as root, that one is closed to PostgreSQL's user."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nautilus.local.environment import local_environment

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

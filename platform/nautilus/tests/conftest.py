from collections.abc import Iterator
from pathlib import Path

import pytest

from nautilus.tests.redis_servers import Servers, replicated


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """A primary of Redis and its replica, with no platform on them."""
    with replicated(tmp_path) as servers:
        yield servers

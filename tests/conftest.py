import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Platform, running_platform


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """One running platform for the whole session, with the sample book."""
    home = Path(tempfile.mkdtemp(prefix="nautilus-platform-"))
    with running_platform(home) as platform:
        yield platform
    shutil.rmtree(home, ignore_errors=True)

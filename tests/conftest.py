import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import Platform, named_platform, running_platform

LINES_OF_EACH_LOG = 10
# Nobody has a real one here: what is `live` is asked for, approved and rolled back, and filled as on paper.
LIVE_BROKER = "apps.strategies.brokers.paper.PaperBroker"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any) -> Generator[None, Any, Any]:
    """A test of a running platform that fails shows the ends of its logs: the platform is gone by then."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            platform = getattr(value, "platform", value)
            if isinstance(platform, Platform) and platform.process:
                report.sections.extend(platform.log_ends(LINES_OF_EACH_LOG))
                break
    return report


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    """One running platform for the whole session, with the sample book; with its jobs where clients are followed.

    NAUTILUS_TEST_PLATFORM=HOME:PORT names one that runs already (tests/browser_pages/conftest.py).
    """
    if running := named_platform():
        yield running
        return
    home = Path(tempfile.mkdtemp(prefix="nautilus-platform-"))
    follows = (item.get_closest_marker(name) for item in request.session.items for name in ("platform", "browser"))
    with running_platform(home, jobs=any(follows), NAUTILUS_LIVE_BROKER=LIVE_BROKER) as platform:
        yield platform
    shutil.rmtree(home, ignore_errors=True)

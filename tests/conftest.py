import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import Platform, running_platform

LINES_OF_EACH_LOG = 10
SHARED = ("desk", "platform")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any) -> Generator[None, Any, Any]:
    """A test of a running platform that fails shows the ends of its logs: the platform is gone by then."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            platform = getattr(value, "platform", value)
            if isinstance(platform, Platform):
                report.sections.extend(platform.log_ends(LINES_OF_EACH_LOG))
                break
    return report


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Tests that share a running platform go to one process of pytest-xdist; others stay together by their file."""
    for item in items:
        if hasattr(item, "_fixtureinfo") and not item.get_closest_marker("xdist_group"):
            shared = next((name for name in SHARED if _is_shared(item, name)), str(item.path))
            item.add_marker(pytest.mark.xdist_group(shared))


def _is_shared(item: Any, fixture: str) -> bool:
    """Modules have fixtures of their own by these names."""
    definitions = item._fixtureinfo.name2fixturedefs.get(fixture)
    return bool(definitions) and definitions[-1].scope in ("package", "session")


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    """One running platform for the whole session, with the sample book; with its jobs where clients are followed."""
    home = Path(tempfile.mkdtemp(prefix="nautilus-platform-"))
    jobs = any(item.get_closest_marker("platform") for item in request.session.items)
    with running_platform(home, jobs=jobs) as platform:
        yield platform
    shutil.rmtree(home, ignore_errors=True)

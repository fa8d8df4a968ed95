from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.running import Platform, sample_platform

LINES_OF_EACH_LOG = 10


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
    """One running platform for the whole session, with the sample book; with its jobs where clients are followed."""
    with sample_platform(jobs=any(item.get_closest_marker("platform") for item in request.session.items)) as platform:
        yield platform

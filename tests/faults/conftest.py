import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.desk import Desk, running_desk
from tests.faults.table import PROPERTY, FaultLine
from tests.running import wait_until


@pytest.fixture(scope="package")
def desk() -> Iterator[Desk]:
    """One running platform for all symptoms, with patience so short that each shows within seconds.

    It ends with the package's tests: a process of pytest-xdist may go on with others, on another platform.
    """
    home = Path(tempfile.mkdtemp(prefix="nautilus-desk-"))
    with running_desk(home) as desk:
        yield desk
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(autouse=True)
def everything_runs_afterwards(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that fails in the middle of its fault must not make those fail that come after it."""
    yield
    if "desk" in request.fixturenames:
        desk: Desk = request.getfixturevalue("desk")
        desk.platform.start_stopped()
        wait_until(desk.reads, 60, "the portfolios to be read again")


@pytest.fixture
def fault_line(record_property: Callable[[str, Any], None]) -> Iterator[Callable[[str], FaultLine]]:
    """Makes the test's line of the table; one that was begun must be filled."""
    begun: list[FaultLine] = []

    def begin(fault: str) -> FaultLine:
        begun.append(FaultLine(fault))
        return begun[-1]

    yield begin
    for line in begun:
        record_property(PROPERTY, line.as_dict())

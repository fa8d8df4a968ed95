"""Sources that hang or fail: their figures are absent, and a hanging one is not asked again."""

import threading
from collections.abc import Iterator

import pytest
from prometheus_client import Metric

from apps.operations.metrics.asking import Asking
from apps.operations.metrics.families import single

PATIENCE_SECONDS = 0.2


class Hanging:
    """A source that answers once it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.released = threading.Event()

    def __call__(self) -> Iterator[Metric]:
        self.begun += 1
        self.released.wait(30)
        yield single("slow", "of a source that hangs", 7.0)


def quick() -> Iterator[Metric]:
    yield single("quick", "of one that answers", 1.0)


def failing() -> Iterator[Metric]:
    yield single("half", "told before it fails", 1.0)
    raise OSError("the store is away")


def told(asking: Asking, **sources) -> dict[tuple[str, str], float]:
    families = asking.ask(sources, PATIENCE_SECONDS)
    return {(one.name, one.labels.get("source", "")): one.value for family in families for one in family.samples}


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    source = Hanging()
    yield source
    source.released.set()


def test_a_source_that_hangs_costs_its_own_figures_and_no_others(hanging):
    figures = told(Asking(), hanging=hanging, quick=quick)
    assert figures["nautilus_scrape_up", "hanging"] == 0
    assert figures["nautilus_scrape_up", "quick"] == 1
    assert figures["nautilus_quick", ""] == 1
    assert ("nautilus_slow", "") not in figures


def test_a_source_that_hangs_is_not_asked_a_second_time_until_it_has_answered(hanging):
    asking = Asking()
    for _ in range(3):
        assert told(asking, hanging=hanging)["nautilus_scrape_up", "hanging"] == 0
    assert hanging.begun == 1
    hanging.released.set()
    asking._hanging["hanging"].has_ended(30)
    assert told(asking, hanging=hanging)["nautilus_slow", ""] == 7
    assert hanging.begun == 2


def test_a_source_that_fails_half_way_tells_nothing():
    figures = told(Asking(), failing=failing, quick=quick)
    assert figures["nautilus_scrape_up", "failing"] == 0
    assert ("nautilus_half", "") not in figures
    assert figures["nautilus_quick", ""] == 1

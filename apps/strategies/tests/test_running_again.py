"""A run that is killed anywhere, tried again, or done by two at once leaves the book that one run leaves."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections

from apps.portfolios.models import Trade
from apps.portfolios.tests.factories import make_portfolio, make_prices
from apps.strategies import asking
from apps.strategies.tests.running_factories import RUNNING_SETTINGS, SandboxInHere, book_of, make_active, run

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 4


class KilledError(BaseException):
    """As abrupt as a signal: nothing in the code under test catches it."""


@pytest.fixture(autouse=True)
def running_settings(settings, monkeypatch):
    for name, value in RUNNING_SETTINGS.items():
        setattr(settings, name, value)
    monkeypatch.setattr(asking, "Sandbox", SandboxInHere)


@pytest.fixture
def prices() -> None:
    make_prices({"AAA": [10.0, 11.0, 10.5, 12.0], "BBB": [50.0, 48.0, 51.0, 50.0]})


@contextmanager
def killed_at_commit(number: int, *, after: bool) -> Iterator[dict[str, int]]:
    """The process is gone at its `number`th commit, just before it or just after it."""
    seen = {"commits": 0}
    commit = connection.commit

    def counted() -> None:
        seen["commits"] += 1
        if seen["commits"] == number and not after:
            _die()
        commit()
        if seen["commits"] == number:
            _die()

    connection.commit = counted  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        connection.commit = commit  # type: ignore[method-assign]


def _die() -> None:
    connection.close()  # what was not committed goes with the process
    raise KilledError


def _run_killed(deployment: Any, number: int, after: bool) -> bool:
    """Whether it came to that commit."""
    with killed_at_commit(number, after=after):
        try:
            run(deployment)
        except KilledError:
            return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
def test_run_killed_at_each_of_its_commits_books_nothing_twice_and_leaves_nothing_out(prices, after):
    unharmed = make_portfolio()
    run(make_active(unharmed))
    expected = book_of(unharmed)
    assert len(expected["trades"]) >= 4
    number = 1
    while True:
        portfolio = make_portfolio()
        deployment = make_active(portfolio)
        was_killed = _run_killed(deployment, number, after)
        run(deployment)
        assert book_of(portfolio) == expected, f"killed at commit {number}"
        if not was_killed:
            break
        number += 1
    assert number > 8  # four days of a fill and a decision each


def test_second_run_of_the_same_days_does_nothing(prices):
    portfolio = make_portfolio()
    deployment = make_active(portfolio)
    run(deployment)
    before = book_of(portfolio)
    assert run(deployment)["days"] == 0
    assert book_of(portfolio) == before


def test_runners_at_once_book_once(prices):
    alone = make_portfolio()
    run(make_active(alone))
    portfolio = make_portfolio()
    deployment = make_active(portfolio)

    def run_in_thread(_: int) -> dict[str, Any]:
        try:
            return run(type(deployment).objects.get(pk=deployment.pk))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(run_in_thread, range(THREADS)))
    # One that has lost the day to another stops at it; whoever is last to move on goes on to the end.
    assert sum(result["days"] for result in results) == 4
    assert book_of(portfolio) == book_of(alone)
    names = Trade.objects.filter(portfolio=portfolio).values_list("external_id", flat=True)
    assert len(set(names)) == len(names) == len(book_of(portfolio)["trades"])

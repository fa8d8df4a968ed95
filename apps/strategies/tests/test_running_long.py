"""Replays of many days: what they take of a worker and of a sandbox is bounded, and they go on where they stopped."""

from typing import Any, ClassVar

import pytest

from apps.portfolios.tests.factories import make_portfolio, make_prices, trading_days
from apps.strategies import asking
from apps.strategies.running.due import submit_due_runs
from apps.strategies.sandbox import Answer
from apps.strategies.tests.running_factories import RUNNING_SETTINGS, SandboxInHere, book_of, make_active, run
from apps.tasks.errors import JobStoppedError
from apps.tasks.execution import Job
from apps.tasks.models import Task

pytestmark = pytest.mark.django_db

DAYS = trading_days(6)
CLOSES = {"AAA": [10.0, 11.0, 12.0, 11.0, 10.0, 12.0], "BBB": [50.0] * 6}


class CountingSandbox(SandboxInHere):
    """Keeps, for each start, the days that it was fed; says that each call takes `seconds`."""

    fed: ClassVar[list[list[str]]] = []
    seconds = 0.0

    def __enter__(self) -> "CountingSandbox":
        self.fed.append([])
        return self

    def feed(self, dates: Any, closes: Any) -> None:
        self.fed[-1] += [str(day) for day in dates]

    def target_weights(self) -> Answer:
        return Answer({"AAA": 0.5}, "", self.seconds)


@pytest.fixture(autouse=True)
def running_settings(settings, monkeypatch):
    for name, value in RUNNING_SETTINGS.items():
        setattr(settings, name, value)
    monkeypatch.setattr(asking, "Sandbox", CountingSandbox)
    monkeypatch.setattr(CountingSandbox, "seconds", 0.0)
    CountingSandbox.fed.clear()
    make_prices(CLOSES)


def _as_text(days: list) -> list[str]:
    return [str(day) for day in days]


def test_one_process_is_fed_each_day_once_for_all_the_days_of_a_task():
    run(make_active(make_portfolio()))
    assert CountingSandbox.fed == [_as_text(DAYS)]


def test_strategy_is_fed_no_more_days_than_it_may_look_back(settings):
    settings.STRATEGY_HISTORY_DAYS = 2
    run(make_active(make_portfolio(), start_date=DAYS[3]))
    assert CountingSandbox.fed == [_as_text(DAYS[2:])]


def test_process_is_followed_by_a_new_one_before_its_cpu_time_runs_out(settings, monkeypatch):
    """Of 60 s two calls of 20 s are more than half: the third day begins a new process, with the whole history."""
    settings.SANDBOX_CPU_SECONDS = 60
    monkeypatch.setattr(CountingSandbox, "seconds", 20.0)
    run(make_active(make_portfolio()))
    assert CountingSandbox.fed == [_as_text(DAYS[:2]), _as_text(DAYS[:4]), _as_text(DAYS)]


def test_replay_that_takes_too_long_for_one_task_goes_on_in_the_next(settings):
    """With no time at all each task deals with one day; the book is that of one task for all."""
    whole = make_portfolio()
    run(make_active(whole))
    settings.TASK_TIME_LIMIT_SECONDS = 0
    portfolio = make_portfolio()
    deployment = make_active(portfolio)
    for day in DAYS:
        assert submit_due_runs() == 1
        Task.objects.all().delete()  # its worker is this test
        assert (run(deployment)["days"], deployment.last_day) == (1, day)
    assert submit_due_runs() == 0
    assert book_of(portfolio) == book_of(whole)


def test_task_that_was_taken_away_stops_between_two_days(monkeypatch):
    def taken_away(job: Job, done: int, total: int, message: str = "") -> None:
        if done == 2:
            raise JobStoppedError

    monkeypatch.setattr(Job, "progress", taken_away)
    deployment = make_active(make_portfolio())
    with pytest.raises(JobStoppedError):
        run(deployment)
    assert deployment.last_day == DAYS[1]


def test_progress_says_which_day_of_how_many(monkeypatch):
    said: list[tuple[int, int, str]] = []
    monkeypatch.setattr(Job, "progress", lambda job, *progress: said.append(progress))
    run(make_active(make_portfolio(), start_date=DAYS[4]))
    assert said == [(0, 2, f"{DAYS[4]}: day 1 of 2"), (1, 2, f"{DAYS[5]}: day 2 of 2")]

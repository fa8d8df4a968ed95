"""What is counted where it happens: tasks, pre-trade checks, messages, alerts."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.portfolios.tests.factories import client_of, make_portfolio, make_prices, make_trade
from apps.realtime.topics import publish, publish_many
from apps.tasks.endings import end_task
from apps.tasks.models import Task
from apps.tasks.submission import cancel_task, submit_task
from nautilus.counting.counters import REGISTRY

pytestmark = pytest.mark.django_db

KIND = "risk.analyze"


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"nautilus_{name}", labels) or 0.0


class Growth:
    """By how much a figure has grown since the block began."""

    def __init__(self, name: str, **labels: str) -> None:
        self._name, self._labels, self._before = name, labels, value(name, **labels)

    def __call__(self) -> float:
        return value(self._name, **self._labels) - self._before


def submitted(capture) -> Task:
    with capture(execute=True):
        task = submit_task(KIND, {"n": 1}, user=None)
    Task.objects.filter(pk=task.pk).update(
        created_at=timezone.now() - timedelta(seconds=9), started_at=timezone.now() - timedelta(seconds=6), attempts=1
    )
    return task


def test_a_task_that_ends_is_counted_with_its_times(django_capture_on_commit_callbacks):
    ended = Growth("tasks_ended_total", kind=KIND, status="succeeded")
    took, waited = Growth("task_duration_seconds_sum", kind=KIND), Growth("task_wait_seconds_sum", kind=KIND)
    task = submitted(django_capture_on_commit_callbacks)
    with django_capture_on_commit_callbacks(execute=True):
        assert end_task(task.pk, Task.Status.SUCCEEDED, attempt=1, result={})
    assert ended() == 1
    assert took() == pytest.approx(6, abs=1)
    assert waited() == pytest.approx(3, abs=0.1)


def test_a_task_that_another_attempt_has_ended_is_counted_once(django_capture_on_commit_callbacks):
    ended = Growth("tasks_ended_total", kind=KIND, status="succeeded")
    task = submitted(django_capture_on_commit_callbacks)
    for expected in (True, False):
        with django_capture_on_commit_callbacks(execute=True):
            assert end_task(task.pk, Task.Status.SUCCEEDED, attempt=1, result={}) is expected
    assert ended() == 1


def test_a_task_that_fails_is_counted_by_its_error(django_capture_on_commit_callbacks):
    failed = Growth("tasks_failed_total", kind=KIND, code="worker_lost")
    task = submitted(django_capture_on_commit_callbacks)
    with django_capture_on_commit_callbacks(execute=True):
        end_task(task.pk, Task.Status.FAILED, attempt=1, error={"code": "worker_lost", "detail": "", "remedy": ""})
    assert failed() == 1


def test_a_cancelled_task_is_counted_as_such(django_capture_on_commit_callbacks):
    ended = Growth("tasks_ended_total", kind=KIND, status="cancelled")
    task = submitted(django_capture_on_commit_callbacks)
    with django_capture_on_commit_callbacks(execute=True):
        cancel_task(task.pk)
    assert ended() == 1


def test_an_end_that_is_rolled_back_is_not_counted(django_capture_on_commit_callbacks):
    ended = Growth("tasks_ended_total", kind=KIND, status="failed")
    task = submitted(django_capture_on_commit_callbacks)
    with pytest.raises(ZeroDivisionError), django_capture_on_commit_callbacks(execute=True):
        end_task(task.pk, Task.Status.FAILED, attempt=1, store=lambda: {"n": 1 / 0})
    assert ended() == 0


@pytest.mark.parametrize(("symbol", "decision"), [("AAA", "approved"), ("NOBODY_KNOWS_IT", "refused")])
def test_a_pre_trade_check_is_counted_by_its_decision(symbol, decision, settings):
    settings.MAX_PRICE_AGE_SECONDS = 0
    make_prices()
    make_trade(make_portfolio("PORTFOLIO_001"))
    decided, timed = (
        Growth("pretrade_decisions_total", decision=decision),
        Growth("pretrade_duration_seconds_count", reserve="no"),
    )
    body = {"portfolio_id": "PORTFOLIO_001", "trade": {"symbol": symbol, "quantity": 1}}
    answer = client_of("admin").post("/api/v1/sprint3/risk/pre-trade-check", body, format="json")
    assert answer.json()["approved"] is (decision == "approved"), answer.json()
    assert (decided(), timed()) == (1, 1)


def test_messages_are_counted_by_the_prefixes_that_we_know():
    tasks, other = (
        Growth("messages_published_total", prefix="tasks"),
        Growth("messages_published_total", prefix="other"),
    )
    publish("tasks:1", {})
    publish_many([("tasks:2", {}), ("news:today", {}), ("anything", {})])
    assert (tasks(), other()) == (2, 2)

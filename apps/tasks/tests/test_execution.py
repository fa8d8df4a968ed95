import signal
import time
from datetime import timedelta
from threading import Thread

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, connection
from django.utils import timezone

from apps.tasks.execution import Job, Outcome, execute, take
from apps.tasks.models import Task
from apps.tasks.submission import cancel_task
from apps.tasks.tests.factories import make_task
from nautilus.api.errors import DomainError

pytestmark = pytest.mark.django_db


def run(function, **fields) -> Task:
    task = make_task(**fields)
    job = take(str(task.pk), "w1")
    execute(job, function)
    task.refresh_from_db()
    return task


def test_job_ends_with_its_result_and_what_it_stored():
    stored = []
    task = run(lambda job: Outcome({"var": 2.5}, lambda: stored.append("row")))
    assert (task.status, task.result, task.attempts, stored) == ("succeeded", {"var": 2.5}, 1, ["row"])
    assert task.finished_at >= task.started_at >= task.created_at


def test_message_delivered_twice_computes_once():
    task = make_task()
    assert take(str(task.pk), "w1") is not None
    assert take(str(task.pk), "w2") is None


def test_task_whose_worker_stopped_renewing_can_be_taken_again():
    task = make_task()
    take(str(task.pk), "w1")
    Task.objects.filter(pk=task.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    job = take(str(task.pk), "w2")
    assert (job.attempt, job.task.worker) == (2, "w2")


def test_attempt_that_was_taken_over_cannot_store_its_result():
    task = make_task()
    late = take(str(task.pk), "w1")
    Task.objects.filter(pk=task.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    current = take(str(task.pk), "w2")
    stored = []
    execute(late, lambda job: Outcome({"by": "late"}, lambda: stored.append("late")))
    execute(current, lambda job: Outcome({"by": "current"}, lambda: stored.append("current")))
    task.refresh_from_db()
    assert (task.result, stored) == ({"by": "current"}, ["current"])


def test_task_is_not_tried_more_often_than_allowed(settings):
    task = make_task(attempts=settings.TASK_MAX_ATTEMPTS)
    assert take(str(task.pk), "w1") is None


def test_domain_error_becomes_the_tasks_error_with_its_remedy():
    class TooShortError(DomainError):
        code = "insufficient_history"

    def refuse(job: Job) -> Outcome:
        raise TooShortError("AAPL has 3 returns.", "Import older prices.")

    task = run(refuse)
    assert task.status == "failed"
    assert task.error == {
        "code": "insufficient_history",
        "detail": "AAPL has 3 returns.",
        "remedy": "Import older prices.",
    }


def test_error_that_names_a_value_with_a_nul_ends_the_task_all_the_same():
    def refuse(job: Job) -> Outcome:
        raise DomainError("'A\0B' is no symbol.", "")

    task = run(refuse)
    assert (task.status, task.error["detail"]) == ("failed", "'A\ufffdB' is no symbol.")


def test_fault_of_ours_is_said_to_be_one_without_its_secrets():
    def stumble(job: Job) -> Outcome:
        raise KeyError("password=hunter2")

    task = run(stumble)
    assert task.error["code"] == "internal_error"
    assert "hunter2" not in str(task.error)
    assert str(task.pk) in task.error["remedy"]


def test_result_that_is_no_json_fails_the_task_and_stores_nothing():
    stored = []
    task = run(lambda job: Outcome({"var": float("nan")}, lambda: stored.append("row")))
    assert (task.status, task.error["code"], stored) == ("failed", "internal_error", [])


def test_failing_store_leaves_no_result_behind():
    def store() -> None:
        raise KeyError("no such table")

    task = run(lambda job: Outcome({"var": 1.0}, store))
    assert (task.status, task.result, task.error["code"]) == ("failed", None, "internal_error")


def test_time_limit_is_named_in_the_error(settings):
    def dawdle(job: Job) -> Outcome:
        raise SoftTimeLimitExceeded

    task = run(dawdle)
    assert task.error["code"] == "time_limit_exceeded"
    assert str(settings.TASK_TIME_LIMIT_SECONDS) in task.error["detail"]


def test_lost_database_leaves_the_task_to_the_sweep():
    def lose(job: Job) -> Outcome:
        raise OperationalError("the connection is closed")

    assert run(lose).status == "processing"


def test_progress_says_how_far_and_how_long(monkeypatch):
    task = make_task()
    job = take(str(task.pk), "w1")
    job._last_report -= 1
    job._started -= 3
    job.progress(30, 100, "paths")
    task.refresh_from_db()
    assert (task.progress_done, task.progress_total, task.progress_message) == (30, 100, "paths")
    assert task.progress_eta_seconds == pytest.approx(7, abs=0.2)  # 30 in 3 s: 70 more in 7 s


@pytest.mark.django_db(transaction=True)
def test_running_job_stops_within_a_lease_when_its_task_is_cancelled(settings):
    settings.TASK_LEASE_SECONDS = 0.6
    task = make_task()
    job = take(str(task.pk), "w1")

    def cancel_soon() -> None:
        time.sleep(0.1)
        cancel_task(task.pk)
        connection.close()

    def never_ending(job: Job) -> Outcome:
        while True:
            time.sleep(0.01)

    Thread(target=cancel_soon).start()
    started = time.monotonic()
    execute(job, never_ending)
    assert time.monotonic() - started < 5
    task.refresh_from_db()
    assert (task.status, task.result) == ("cancelled", None)


@pytest.mark.django_db(transaction=True)
def test_time_limit_that_strikes_within_a_query_ends_the_task():
    def strike(signum: int, frame: object) -> None:
        raise SoftTimeLimitExceeded

    def slow_query(job: Job) -> Outcome:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(20)")
        return Outcome({})

    before = signal.signal(signal.SIGALRM, strike)
    try:
        task = run(slow_query)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert (task.status, task.error["code"]) == ("failed", "time_limit_exceeded")


@pytest.mark.django_db(transaction=True)
def test_long_job_keeps_its_lease(settings):
    settings.TASK_LEASE_SECONDS = 0.6
    task = make_task()
    job = take(str(task.pk), "w1")

    def work(job: Job) -> Outcome:
        time.sleep(1.5)
        assert take(str(task.pk), "w2") is None
        return Outcome({})

    execute(job, work)
    task.refresh_from_db()
    assert (task.status, task.attempts) == ("succeeded", 1)

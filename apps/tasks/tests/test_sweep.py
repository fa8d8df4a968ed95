from datetime import timedelta

import pytest
from django.utils import timezone

from apps.tasks.dispatch import sweep
from apps.tasks.execution import take
from apps.tasks.messages import ids_in_queues, send
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def empty_queues() -> None:
    redis_client().flushdb()


def long_ago() -> object:
    return timezone.now() - timedelta(minutes=5)


def test_task_whose_message_was_lost_is_sent_again():
    task = make_task("risk.analyze", dispatched_at=long_ago())
    assert sweep() == {"sent": 1, "given_up": 0}
    assert list(ids_in_queues()) == [str(task.pk)]


def test_task_whose_message_waits_in_its_queue_is_left_there():
    task = make_task("risk.analyze", dispatched_at=long_ago())
    send(task)
    assert sweep()["sent"] == 0
    assert redis_client().llen("risk_queue") == 1


def test_foreign_message_in_a_queue_does_not_stop_the_sweep():
    redis_client().lpush("strategy_queue", "hello")
    make_task("risk.analyze", dispatched_at=long_ago())
    assert sweep()["sent"] == 1


def test_task_that_was_sent_a_moment_ago_is_left_alone():
    make_task("risk.analyze")
    assert sweep()["sent"] == 0


def test_task_with_a_live_worker_is_left_alone():
    task = make_task("risk.analyze", dispatched_at=long_ago())
    take(str(task.pk), "w1")
    assert sweep()["sent"] == 0


def test_task_whose_worker_died_is_sent_again():
    task = make_task("risk.analyze", dispatched_at=long_ago())
    take(str(task.pk), "w1")
    Task.objects.filter(pk=task.pk).update(lease_expires_at=long_ago())
    assert sweep()["sent"] == 1


def test_task_that_lost_its_worker_too_often_ends_with_the_reason(settings):
    task = make_task("risk.analyze", dispatched_at=long_ago(), attempts=settings.TASK_MAX_ATTEMPTS)
    assert sweep() == {"sent": 0, "given_up": 1}
    task.refresh_from_db()
    assert (task.status, task.error["code"]) == ("failed", "worker_lost")


def test_follower_is_not_sent_by_itself():
    leader = make_task("risk.analyze")
    make_task("risk.analyze", dispatched_at=None, dispatches=0, coalesced_with=leader)
    assert sweep()["sent"] == 0


def test_waits_between_sendings_grow():
    task = make_task("risk.analyze", dispatched_at=timezone.now() - timedelta(seconds=10), dispatches=5)
    assert sweep()["sent"] == 0  # after four repeats the wait is 16 s with the tests' first of 1 s
    Task.objects.filter(pk=task.pk).update(dispatched_at=timezone.now() - timedelta(seconds=20))
    assert sweep()["sent"] == 1

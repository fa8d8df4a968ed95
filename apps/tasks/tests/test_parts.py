"""Work divided among workers: the parts are tasks like any other, and no worker waits for them."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from apps.tasks.dispatch import sweep
from apps.tasks.execution import Job, Outcome, execute, take
from apps.tasks.messages import ids_in_queues
from apps.tasks.models import Task
from apps.tasks.parts import Divided
from apps.tasks.submission import cancel_task
from apps.tasks.tests.factories import make_task
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db

WHOLE, PART = "risk.whole", "risk.part"


@pytest.fixture(autouse=True)
def empty_queues() -> None:
    redis_client().flushdb()


def sum_of_parts(job: Job) -> Outcome | Divided:
    parts = job.parts()
    if not parts:
        return Divided(PART, [{"number": number} for number in range(3)])
    return Outcome({"sum": sum(part.result["number"] for part in parts), "order": [p.part_number for p in parts]})


@pytest.fixture
def divided(django_capture_on_commit_callbacks) -> Task:
    """A task of three parts, all of which wait in the queue."""
    task = make_task(WHOLE, created_by=User.objects.create(username="ann"))
    with django_capture_on_commit_callbacks(execute=True):
        execute(take(str(task.pk), "w1"), sum_of_parts)
    task.refresh_from_db()
    return task


def run(task: Task, function=lambda job: Outcome({"number": job.task.inputs["number"]})) -> None:
    execute(take(str(task.pk), "w1"), function)


def parts_of(task: Task) -> list[Task]:
    return list(task.parts.order_by("part_number"))


def lose_messages(task: Task) -> None:
    redis_client().flushdb()
    Task.objects.filter(pk=task.pk).update(dispatched_at=timezone.now() - timedelta(minutes=5))


def test_divided_task_lets_go_of_its_worker_and_its_parts_go_out(divided):
    assert (divided.status, divided.lease_expires_at, divided.progress_total) == ("processing", None, 3)
    assert sorted(ids_in_queues()) == sorted(str(part.pk) for part in parts_of(divided))
    assert {part.created_by for part in parts_of(divided)} == {divided.created_by}


def test_task_cannot_be_taken_while_a_part_is_open(divided):
    run(parts_of(divided)[0])
    assert take(str(divided.pk), "w2") is None


def test_last_part_brings_the_task_back_to_be_joined(divided, django_capture_on_commit_callbacks):
    redis_client().flushdb()
    for done, part in enumerate(parts_of(divided), 1):
        assert list(ids_in_queues()) == []
        with django_capture_on_commit_callbacks(execute=True):
            run(part)
        divided.refresh_from_db()
        assert (divided.progress_done, divided.progress_message) == (done, f"{done} of 3 parts")
    assert list(ids_in_queues()) == [str(divided.pk)]
    run(divided, sum_of_parts)
    divided.refresh_from_db()
    assert (divided.status, divided.result) == ("succeeded", {"sum": 3, "order": [0, 1, 2]})


def test_sweep_leaves_a_task_alone_whose_parts_are_open(divided):
    lose_messages(divided)
    run(parts_of(divided)[0])
    assert str(divided.pk) not in (sweep(), list(ids_in_queues()))[1]


def test_sweep_sends_a_task_again_whose_last_part_could_not(divided):
    for part in parts_of(divided):
        run(part)  # its news stays behind: the commit of a test never comes
    lose_messages(divided)
    assert sweep() == {"sent": 1, "given_up": 0}
    assert list(ids_in_queues()) == [str(divided.pk)]


def test_sweep_sends_parts_again_whose_messages_were_lost(divided):
    redis_client().flushdb()
    divided.parts.update(dispatched_at=timezone.now() - timedelta(minutes=5))
    assert sweep()["sent"] == 3


def test_joining_is_not_counted_as_an_attempt_that_failed(divided, settings):
    for part in parts_of(divided):
        run(part)
    Task.objects.filter(pk=divided.pk).update(attempts=settings.TASK_MAX_ATTEMPTS)
    lose_messages(divided)
    assert sweep() == {"sent": 1, "given_up": 0}
    assert take(str(divided.pk), "w2") is not None


def test_divided_task_that_loses_its_worker_too_often_is_given_up(divided, settings):
    for part in parts_of(divided):
        run(part)
    Task.objects.filter(pk=divided.pk).update(attempts=settings.TASK_MAX_ATTEMPTS + 1)
    lose_messages(divided)
    assert sweep() == {"sent": 0, "given_up": 1}


def test_attempt_that_was_taken_over_cannot_divide():
    task = make_task(WHOLE)
    late = take(str(task.pk), "w1")
    Task.objects.filter(pk=task.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    take(str(task.pk), "w2")
    execute(late, sum_of_parts)
    assert not task.parts.exists()


def test_cancelled_task_takes_its_open_parts_along(divided):
    first, *others = parts_of(divided)
    run(first)
    cancel_task(divided.pk)
    assert [part.status for part in parts_of(divided)] == ["succeeded", "cancelled", "cancelled"]
    assert take(str(others[0].pk), "w2") is None


def test_part_that_is_cancelled_by_itself_does_not_leave_its_task_waiting(divided, django_capture_on_commit_callbacks):
    redis_client().flushdb()
    *first, last = parts_of(divided)
    for part in first:
        run(part)
    with django_capture_on_commit_callbacks(execute=True):
        cancel_task(last.pk)
    assert list(ids_in_queues()) == [str(divided.pk)]


def test_those_who_share_a_divided_task_see_its_progress(divided, django_capture_on_commit_callbacks):
    follower = make_task(WHOLE, coalesced_with=divided)
    with django_capture_on_commit_callbacks(execute=True):
        run(parts_of(divided)[0])
    follower.refresh_from_db()
    assert (follower.progress_done, follower.progress_total) == (1, 3)


def test_lists_show_parts_only_where_they_are_asked_for(divided, client):
    client.force_login(divided.created_by)
    divided.created_by.groups.add(Group.objects.get(name="viewer"))
    listed = client.get("/api/v1/tasks").json()["results"]
    assert [task["task_id"] for task in listed] == [str(divided.pk)]
    parts = client.get(f"/api/v1/tasks?part_of={divided.pk}&ordering=created_at").json()["results"]
    assert {task["part_of"] for task in parts} == {str(divided.pk)}
    assert len(parts) == 3

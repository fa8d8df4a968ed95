import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import connection

from apps.tasks.endings import end_task
from apps.tasks.errors import TaskEndedError, TaskStillRunsError
from apps.tasks.models import Task
from apps.tasks.submission import cancel_task, retry_task, submit_task
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db

KIND = "risk.analyze"


@pytest.fixture
def user() -> User:
    return User.objects.create(username="ann")


@pytest.fixture(autouse=True)
def empty_queues() -> None:
    redis_client().flushdb()


def submit(user: User, **inputs: object) -> Task:
    return submit_task(KIND, inputs, user=user, portfolio_id="P1", data_version="1/1")


def test_task_is_a_row_before_it_is_a_message(user, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=False) as callbacks:
        task = submit(user)
        assert Task.objects.get(pk=task.pk).status == "processing"
        assert redis_client().llen("risk_queue") == 0
    for callback in callbacks:
        callback()
    assert redis_client().llen("risk_queue") == 1


def test_identical_requests_share_one_computation(user, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        first, second = submit(user, confidence=0.99), submit(user, confidence=0.99)
    assert first.pk != second.pk
    assert second.coalesced_with_id == first.pk
    assert redis_client().llen("risk_queue") == 1


@pytest.mark.parametrize("changed", [{"inputs": {"confidence": 0.95}}, {"data_version": "2/1"}, {"portfolio_id": "P2"}])
def test_requests_that_differ_in_inputs_or_data_are_computed_apart(user, changed):
    same = {"inputs": {"confidence": 0.99}, "portfolio_id": "P1", "data_version": "1/1"}
    first = submit_task(KIND, user=user, **same)
    other = submit_task(KIND, user=user, **{**same, **changed})
    assert first.coalesced_with_id is None
    assert other.coalesced_with_id is None


def test_request_after_the_end_is_computed_anew(user):
    first = submit(user)
    end_task(first.pk, Task.Status.SUCCEEDED, attempt=0, result={})
    assert submit(user).coalesced_with_id is None


def test_followers_end_with_the_one_they_share_with(user):
    leader, follower = submit(user), submit(user)
    assert end_task(leader.pk, Task.Status.SUCCEEDED, attempt=0, result={"var": 1.0})
    follower.refresh_from_db()
    assert (follower.status, follower.result) == ("succeeded", {"var": 1.0})


def test_cancelled_leader_hands_its_computation_to_the_oldest_follower(user, django_capture_on_commit_callbacks):
    leader, second, third = submit(user), submit(user), submit(user)
    with django_capture_on_commit_callbacks(execute=True):
        cancel_task(leader.pk)
    second.refresh_from_db()
    third.refresh_from_db()
    assert (second.status, second.coalesced_with_id) == ("processing", None)
    assert (third.status, third.coalesced_with_id) == ("processing", second.pk)
    assert redis_client().llen("risk_queue") == 1


def test_cancelled_follower_leaves_the_computation_alone(user):
    leader, follower = submit(user), submit(user)
    cancel_task(follower.pk)
    leader.refresh_from_db()
    assert leader.status == "processing"


def test_ended_task_cannot_be_cancelled(user):
    task = submit(user)
    end_task(task.pk, Task.Status.FAILED, attempt=0, error={"code": "x", "detail": "", "remedy": ""})
    with pytest.raises(TaskEndedError, match="it is failed"):
        cancel_task(task.pk)


def test_retry_is_a_new_task_of_the_same_inputs(user):
    task = submit(user, confidence=0.95)
    end_task(task.pk, Task.Status.FAILED, attempt=0, error={"code": "x", "detail": "", "remedy": ""})
    again = retry_task(Task.objects.get(pk=task.pk), user)
    assert (again.kind, again.inputs, again.portfolio_id) == (task.kind, task.inputs, task.portfolio_id)
    assert again.retry_of_id == task.pk


def test_running_task_cannot_be_retried(user):
    with pytest.raises(TaskStillRunsError):
        retry_task(submit(user), user)


@pytest.mark.django_db(transaction=True)
def test_twenty_identical_requests_at_once_make_one_message():
    user = User.objects.create(username="bob")
    start = threading.Barrier(20)

    def ask(_: int) -> Task:
        try:
            start.wait()
            return submit(user, paths=1000)
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as threads:
        tasks = list(threads.map(ask, range(20)))
    assert sum(task.coalesced_with_id is None for task in tasks) == 1
    assert redis_client().llen("risk_queue") == 1


@pytest.mark.django_db(transaction=True)
def test_request_that_meets_the_end_of_the_other_is_never_left_behind():
    user = User.objects.create(username="cid")
    for _ in range(15):
        leader = submit(user)
        start = threading.Barrier(2)

        def end(leader: Task = leader, start: threading.Barrier = start) -> None:
            start.wait()
            end_task(leader.pk, Task.Status.SUCCEEDED, attempt=0, result={})
            connection.close()

        thread = threading.Thread(target=end)
        thread.start()
        start.wait()
        late = submit(user)
        thread.join()
        late.refresh_from_db()
        # Either it was ended with the other, or it leads a computation of its own.
        assert late.status == "succeeded" or late.coalesced_with_id is None
        end_task(late.pk, Task.Status.SUCCEEDED, attempt=0, result={})

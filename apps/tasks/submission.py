"""Submit, cancel and retry: a task is a row before it is a message, and the message goes out after commit."""

from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.tasks.counting import count_ends_after_commit
from apps.tasks.errors import TaskEndedError, TaskStillRunsError
from apps.tasks.events import publish_tasks_after_commit
from apps.tasks.keys import coalesce_key
from apps.tasks.messages import send_after_commit
from apps.tasks.models import Task
from apps.tasks.parts import advance_after_commit, cancel_parts
from nautilus.logs.ids import bind_ids

PROCESSING = Task.Status.PROCESSING


def submit_task(
    kind: str,
    inputs: dict[str, Any],
    *,
    user: Any,
    portfolio_id: str | None = None,
    data_version: str = "",
    retry_of: Task | None = None,
) -> Task:
    """A new task of this kind; identical to one that still runs, it shares that one's computation.

    `kind` is the name of the Celery task. `data_version` names the state of the data that the caller sees:
    two requests share a computation only where it is the same, so that nobody is answered from older data.
    """
    now = timezone.now()
    fields = {
        "kind": kind,
        "inputs": inputs,
        "portfolio_id": portfolio_id,
        "created_by": user if getattr(user, "pk", None) else None,
        "created_at": now,
        "coalesce_key": coalesce_key(kind, inputs, portfolio_id, data_version),
        "retry_of": retry_of,
    }
    with transaction.atomic():
        task = _lead(fields) or _follow(fields)
        while task is None:  # the one that led has ended between the two looks
            task = _lead(fields) or _follow(fields)
        bind_ids(task_id=str(task.id), portfolio_id=portfolio_id)
        publish_tasks_after_commit([task])  # before it is sent, or a fast worker's news would come first
        if task.coalesced_with_id is None:
            send_after_commit(task)
    return task


def _lead(fields: dict[str, Any]) -> Task | None:
    try:
        with transaction.atomic():
            return Task.objects.create(**fields, dispatched_at=fields["created_at"], dispatches=1)
    except IntegrityError:  # task_one_computation_a_key
        return None


def _follow(fields: dict[str, Any]) -> Task | None:
    # The lock holds off the leader's end until this row is there to be ended with it.
    leader = (
        Task.objects.select_for_update()
        .filter(coalesce_key=fields["coalesce_key"], status=PROCESSING, coalesced_with=None)
        .first()
    )
    if leader is None:
        return None
    return Task.objects.create(**fields, coalesced_with=leader, started_at=leader.started_at)


def cancel_task(task_id: UUID) -> Task:
    """Ends a task that waits or runs; a worker that has it stops within seconds.

    Those who share the computation keep it: the oldest of them takes over.
    """
    with transaction.atomic():
        changed = Task.objects.filter(pk=task_id, status=PROCESSING).update(
            status=Task.Status.CANCELLED, finished_at=timezone.now(), lease_expires_at=None
        )
        task = Task.objects.get(pk=task_id)
        if not changed:
            raise TaskEndedError(f"Task {task_id} has ended already: it is {task.status}.")
        cancel_parts(task)
        _hand_over(task)
        publish_tasks_after_commit([task])
        count_ends_after_commit([task])
        advance_after_commit(task.part_of_id)
    return task


def _hand_over(leader: Task) -> None:
    followers = list(leader.followers.select_for_update().filter(status=PROCESSING).order_by("created_at", "id"))
    if not followers:
        return
    heir, others = followers[0], followers[1:]
    heir.coalesced_with, heir.started_at = None, None
    heir.dispatched_at, heir.dispatches = timezone.now(), 1
    heir.save(update_fields=["coalesced_with", "started_at", "dispatched_at", "dispatches"])
    Task.objects.filter(pk__in=[other.pk for other in others]).update(coalesced_with=heir, started_at=None)
    publish_tasks_after_commit([heir])
    send_after_commit(heir)


def retry_task(task: Task, user: Any) -> Task:
    """A new task of the same inputs, computed anew."""
    if not task.has_ended:
        raise TaskStillRunsError(f"Task {task.id} still runs.", "DELETE it first, or wait for its end.")
    return submit_task(
        task.kind, task.inputs, user=user, portfolio_id=task.portfolio_id, data_version=uuid4().hex, retry_of=task
    )

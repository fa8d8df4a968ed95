"""A task too large for one worker: divided into parts, each a task of its own, and joined when all have ended.

The job that divides returns `Divided` and is done with its worker; no worker waits for another. The parts go out as one
Celery group. Whichever ends last sends the divided task's message again, and its job runs a second time, with the ended
parts before it. Parts have the life of any task: a lease, the sweep, a limit of attempts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.tasks.counting import count_ends_after_commit
from apps.tasks.errors import JobStoppedError
from apps.tasks.events import publish_tasks_after_commit
from apps.tasks.keys import coalesce_key
from apps.tasks.messages import send, send_after_commit
from apps.tasks.models import Task
from apps.tasks.progress import write_progress

PROCESSING = Task.Status.PROCESSING


@dataclass(frozen=True, slots=True)
class Divided:
    """What a job returns instead of its outcome: the kind of its parts and the inputs of each."""

    kind: str
    inputs: Sequence[dict[str, Any]]


def divide(task: Task, divided: Divided) -> None:
    """Makes the parts and lets go of the task, if this attempt still has it. Raises JobStoppedError."""
    with transaction.atomic():
        mine = Task.objects.filter(pk=task.pk, status=PROCESSING, attempts=task.attempts)
        if not mine.update(lease_expires_at=None, progress_done=0, progress_total=len(divided.inputs)):
            raise JobStoppedError
        parts = Task.objects.bulk_create(
            _part(task, divided.kind, number, inputs) for number, inputs in enumerate(divided.inputs)
        )
        publish_tasks_after_commit(Task.objects.filter(pk=task.pk))
        send_after_commit(*parts)


def _part(task: Task, kind: str, number: int, inputs: dict[str, Any]) -> Task:
    now = timezone.now()
    return Task(
        kind=kind,
        inputs=inputs,
        created_by_id=task.created_by_id,
        created_at=now,
        dispatched_at=now,
        dispatches=1,
        coalesce_key=coalesce_key(kind, inputs, None, f"{task.pk}/{task.attempts}/{number}"),
        part_of=task,
        part_number=number,
    )


def parts_of(task: Task) -> list[Task]:
    """The parts that an earlier run of this task's job has made, in their order: all have ended."""
    return list(Task.objects.filter(part_of=task).order_by("part_number"))


def advance_after_commit(task_id: UUID | None) -> None:
    """To be called where a part has ended; nothing for a task that is no part."""
    if task_id is not None:
        transaction.on_commit(lambda: _advance(task_id), robust=True)


def _advance(task_id: UUID) -> None:
    """Says how many parts are done; sends the divided task to be joined when the last one is."""
    statuses = list(Task.objects.filter(part_of=task_id).values_list("status", flat=True))
    ended = len(statuses) - statuses.count(PROCESSING)
    task = Task.objects.get(pk=task_id)
    elapsed = (timezone.now() - task.created_at).total_seconds()
    eta_seconds = elapsed / ended * (len(statuses) - ended) if ended else None
    message = f"{ended} of {len(statuses)} parts"
    # Of two parts that end at once the later news may be written first: it stays.
    is_news = write_progress(task_id, ended, len(statuses), message, eta_seconds, progress_done__lte=ended)
    if not is_news or ended < len(statuses):
        return
    # Two parts that end at once may both send it: a worker takes it once. If neither does, the sweep will.
    Task.objects.filter(pk=task_id).update(dispatched_at=timezone.now())
    send(task)


def cancel_parts(task: Task) -> None:
    """Ends the open parts of a task that was cancelled; to be called in its transaction."""
    parts = Task.objects.filter(part_of=task, status=PROCESSING)
    ids = list(parts.select_for_update(no_key=True).order_by("id").values_list("pk", flat=True))
    if ids:
        cancelled = Task.objects.filter(pk__in=ids)
        cancelled.update(status=Task.Status.CANCELLED, finished_at=timezone.now(), lease_expires_at=None)
        publish_tasks_after_commit(cancelled)
        count_ends_after_commit(cancelled)

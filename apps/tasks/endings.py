"""How a task ends: by one compare-and-set, together with what it stored and with those that share it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from apps.tasks.counting import count_ends_after_commit
from apps.tasks.events import publish_tasks_after_commit
from apps.tasks.models import Task
from apps.tasks.parts import advance_after_commit

# Writes beside the task; what it returns is added to the result.
Store = Callable[[], dict[str, Any] | None]


def end_task(
    task_id: UUID,
    status: Task.Status,
    *,
    attempt: int,
    result: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
    store: Store | None = None,
) -> bool:
    """Ends the task, if this attempt still has it; `store` writes in the same transaction.

    Returns whether it was ended: False leaves everything as it was.
    """
    ending = {"status": status, "result": result, "error": error, "finished_at": timezone.now()}
    with transaction.atomic():
        mine = Task.objects.filter(pk=task_id, status=Task.Status.PROCESSING, attempts=attempt)
        if not mine.update(**ending, **_progress_at_end(status), lease_expires_at=None):
            return False
        if store and (added := store()):
            ending["result"] = {**(result or {}), **added}
            Task.objects.filter(pk=task_id).update(result=ending["result"])
        ended = Task.objects.get(pk=task_id)
        everybody = [ended, *_end_followers(task_id, ending)]
        publish_tasks_after_commit(everybody)
        count_ends_after_commit(everybody)
        advance_after_commit(ended.part_of_id)
    return True


def _progress_at_end(status: Task.Status) -> dict[str, Any]:
    if status != Task.Status.SUCCEEDED:
        return {"progress_eta_seconds": None}
    # A job that never said how far it was is done at 1 of 1: a bar that stays empty looks like a fault.
    whole = Greatest(F("progress_total"), 1)
    return {"progress_done": whole, "progress_total": whole, "progress_eta_seconds": 0.0}


def _end_followers(task_id: UUID, ending: dict[str, Any]) -> list[Task]:
    followers = Task.objects.filter(coalesced_with=task_id, status=Task.Status.PROCESSING)
    # Locked before they are ended: one that is cancelled meanwhile stays cancelled.
    ids = list(followers.select_for_update(no_key=True).order_by("id").values_list("pk", flat=True))
    if not ids:
        return []
    Task.objects.filter(pk__in=ids).update(**ending, **_progress_at_end(ending["status"]))
    return list(Task.objects.filter(pk__in=ids))

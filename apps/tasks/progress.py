"""How far a task is: written to its row and to those that share its computation, and pushed."""

from typing import Any
from uuid import UUID

from django.db.models import Q

from apps.tasks.events import publish_tasks
from apps.tasks.models import Task


def write_progress(task_id: UUID, done: int, total: int, message: str, eta_seconds: float | None, **held: Any) -> bool:
    """False where the task has ended, or is not as `held` says: then nothing is written."""
    progress = {
        "progress_done": done,
        "progress_total": total,
        "progress_message": message[:200],
        "progress_eta_seconds": eta_seconds,
    }
    if not Task.objects.filter(pk=task_id, status=Task.Status.PROCESSING, **held).update(**progress):
        return False
    Task.objects.filter(coalesced_with=task_id, status=Task.Status.PROCESSING).update(**progress)
    family = Task.objects.filter(Q(pk=task_id) | Q(coalesced_with=task_id))
    publish_tasks(family.filter(status=Task.Status.PROCESSING))
    return True

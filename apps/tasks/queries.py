from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.tasks.errors import TaskNotFoundError
from apps.tasks.models import Task
from nautilus.api.access import sees_every_task


def visible_tasks(user: Any) -> QuerySet[Task]:
    """A user's own tasks; for risk managers, operators and admins all."""
    return Task.objects.all() if sees_every_task(user) else Task.objects.filter(created_by=user)


def get_visible_task(user: Any, task_id: UUID | str) -> Task:
    """Raises TaskNotFoundError, in the same words for a task that is not there and one of somebody else."""
    task = visible_tasks(user).filter(pk=task_id).first()
    if task is None:
        raise TaskNotFoundError(task_id)
    return task

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.tasks.errors import TaskNotFoundError
from apps.tasks.kinds import kinds_of_books
from apps.tasks.models import Task
from nautilus.api.access import has_role, sees_every_task


def visible_tasks(user: Any) -> QuerySet[Task]:
    """A user's own tasks; risk managers and admins see all, operators those of no portfolio, as they read no book."""
    if sees_every_task(user):
        return Task.objects.all()
    seen = Q(created_by=user)
    if has_role(user, "operator"):
        seen |= Q(portfolio_id=None) & ~Q(kind__in=kinds_of_books())
    return Task.objects.filter(seen)


def get_visible_task(user: Any, task_id: UUID | str) -> Task:
    """Raises TaskNotFoundError, in the same words for a task that is not there and one of somebody else."""
    task = visible_tasks(user).filter(pk=task_id).first()
    if task is None:
        raise TaskNotFoundError(task_id)
    return task

"""Tasks that ended, counted for GET /metrics once their end is committed."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial

from django.db import transaction

from apps.tasks.models import Task
from nautilus.counting.counters import count_task_end


def count_ends_after_commit(tasks: Iterable[Task]) -> None:
    transaction.on_commit(partial(_count, list(tasks)), robust=True)


def _count(tasks: list[Task]) -> None:
    for task in tasks:
        code = task.error.get("code") if task.status == Task.Status.FAILED and task.error else None
        waited = _seconds(task.created_at, task.started_at)
        count_task_end(task.kind, task.status, code, waited, _seconds(task.started_at, task.finished_at))


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    """None where one of them is missing; never negative, as two machines' clocks may differ."""
    return max((end - begin).total_seconds(), 0.0) if begin and end else None

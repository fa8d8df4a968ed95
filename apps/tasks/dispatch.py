"""The sweep: PostgreSQL is the truth, so what waits there and has neither worker nor message is sent again."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from redis.exceptions import RedisError

from apps.tasks.endings import end_task
from apps.tasks.errors import WorkerLostError
from apps.tasks.messages import ids_in_queues, send
from apps.tasks.models import Task

logger = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 60


def sweep() -> dict[str, int]:
    """Sends again what no worker has, and ends what has lost its worker too often. Returns how many of each."""
    rows = _unheld()
    ended = sum(_give_up(task) for task in rows if _is_worn_out(task))
    now = timezone.now()
    due = [task for task in rows if not _is_worn_out(task) and _is_due(task, now)]
    if not due:
        return {"sent": 0, "given_up": ended}
    try:
        queued = set(ids_in_queues())
    except RedisError as error:
        logger.warning("sweep: %d tasks wait for Redis, which cannot be reached: %s", len(due), error)
        return {"sent": 0, "given_up": ended}
    sent = sum(_send_again(task) for task in due if str(task.id) not in queued)
    return {"sent": sent, "given_up": ended}


def _unheld() -> list[Task]:
    """Open tasks that lead a computation, that no live worker holds, and that wait for none of their own parts."""
    now = timezone.now()
    cutoff = now - timedelta(seconds=settings.TASK_RESEND_AFTER_SECONDS)
    held = Q(lease_expires_at__gte=now)
    parts = Task.objects.filter(part_of=OuterRef("pk"))
    rows = Task.objects.filter(status=Task.Status.PROCESSING, coalesced_with=None).exclude(held)
    rows = rows.exclude(Exists(parts.filter(status=Task.Status.PROCESSING))).annotate(is_divided=Exists(parts))
    rows = rows.filter(Q(dispatched_at=None) | Q(dispatched_at__lt=cutoff))
    return list(rows.defer("inputs", "result").order_by("created_at")[:10_000])


def _is_worn_out(task: Task) -> bool:
    # A divided task is run once more, to join its parts (sql/take.sql has the same rule).
    most: int = settings.TASK_MAX_ATTEMPTS + task.is_divided  # type: ignore[attr-defined]
    return task.attempts >= most


def _is_due(task: Task, now: datetime) -> bool:
    """A row is sent again after 5 s, 10 s, 20 s ... at most a minute: a message may also be on its way."""
    if task.dispatched_at is None:
        return True
    wait = settings.TASK_RESEND_AFTER_SECONDS * 2 ** min(max(task.dispatches - 1, 0), 10)
    return task.dispatched_at + timedelta(seconds=min(wait, LONGEST_WAIT_SECONDS)) < now


def _send_again(task: Task) -> bool:
    # Two sweeps at once: the compare-and-set lets one of them send.
    with transaction.atomic():
        mine = _unlocked(task).filter(dispatches=task.dispatches).first() and Task.objects.filter(pk=task.pk).update(
            dispatches=F("dispatches") + 1, dispatched_at=timezone.now()
        )
    if mine:
        logger.info("task %s (%s) had no worker and no message: sent again", task.id, task.kind)
    return bool(mine) and send(task)


def _unlocked(task: Task) -> QuerySet[Task]:
    """The open row, locked, unless somebody else holds it.

    A worker that stores much holds its row past its lease: waiting for it would stop the sweep of all others.
    """
    open_rows = Task.objects.filter(pk=task.pk, status=Task.Status.PROCESSING)
    return open_rows.select_for_update(skip_locked=True, no_key=True).only("pk")


def _give_up(task: Task) -> bool:
    error = WorkerLostError(
        f"The worker died {task.attempts} times while it had this task.",
        "See the worker's log for memory or crashes; retry the task when that is mended.",
    )
    with transaction.atomic():
        free = _unlocked(task).first() is not None
        return free and end_task(task.pk, Task.Status.FAILED, attempt=task.attempts, error=error.as_dict())

"""The message that brings a worker to a task's row, and the sweep that sends it again where it was lost.

PostgreSQL is the truth. A message may be lost with Redis, or be delivered twice: the first is what the sweep is for,
the second is harmless, because a worker takes a row by compare-and-set (execution.py).
"""

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from kombu.exceptions import LimitExceeded, OperationalError
from kombu.pools import producers
from redis.exceptions import RedisError

from apps.tasks.endings import end_task
from apps.tasks.errors import WorkerLostError
from apps.tasks.models import Task
from nautilus.celery import app as celery_app
from nautilus.connections import redis_client

logger = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 60
_PAGE = 1000


def send_after_commit(task: Task) -> None:
    transaction.on_commit(lambda: send(task), robust=True)


def send(task: Task) -> bool:
    """Puts the task's message on its queue; False where Redis is away, and then the sweep sends it."""
    try:
        with _producers().acquire(block=True, timeout=settings.REDIS_TIMEOUT_SECONDS) as producer:
            celery_app.send_task(task.kind, args=[str(task.id)], task_id=str(task.id), retry=False, producer=producer)
    except (OperationalError, LimitExceeded, RedisError, OSError) as error:
        logger.warning("task %s (%s) could not be sent, the sweep will: %s", task.id, task.kind, error)
        return False
    return True


@cache
def _producers() -> Any:
    """Producers with a short patience: a request that submits must not hang with a Redis that hangs."""
    options = {
        **settings.CELERY_BROKER_TRANSPORT_OPTIONS,
        "socket_timeout": settings.REDIS_TIMEOUT_SECONDS,
        "retry_on_timeout": False,
    }
    return producers[celery_app.connection_for_write(transport_options=options)]


def sweep() -> dict[str, int]:
    """Sends again what no worker has, and ends what has lost its worker too often. Returns how many of each."""
    rows = _unheld()
    ended = sum(_give_up(task) for task in rows if task.attempts >= settings.TASK_MAX_ATTEMPTS)
    now = timezone.now()
    due = [task for task in rows if task.attempts < settings.TASK_MAX_ATTEMPTS and _is_due(task, now)]
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
    """Open tasks that lead a computation and that no live worker holds."""
    now = timezone.now()
    cutoff = now - timedelta(seconds=settings.TASK_RESEND_AFTER_SECONDS)
    held = Q(lease_expires_at__gte=now)
    rows = Task.objects.filter(status=Task.Status.PROCESSING, coalesced_with=None).exclude(held)
    rows = rows.filter(Q(dispatched_at=None) | Q(dispatched_at__lt=cutoff))
    return list(rows.defer("inputs", "result").order_by("created_at")[:10_000])


def _is_due(task: Task, now: datetime) -> bool:
    """A row is sent again after 5 s, 10 s, 20 s ... at most a minute: a message may also be on its way."""
    if task.dispatched_at is None:
        return True
    wait = settings.TASK_RESEND_AFTER_SECONDS * 2 ** min(max(task.dispatches - 1, 0), 10)
    return task.dispatched_at + timedelta(seconds=min(wait, LONGEST_WAIT_SECONDS)) < now


def _send_again(task: Task) -> bool:
    # Two sweeps at once: the compare-and-set lets one of them send.
    mine = Task.objects.filter(pk=task.pk, status=Task.Status.PROCESSING, dispatches=task.dispatches).update(
        dispatches=F("dispatches") + 1, dispatched_at=timezone.now()
    )
    if mine:
        logger.info("task %s (%s) had no worker and no message: sent again", task.id, task.kind)
    return bool(mine) and send(task)


def _give_up(task: Task) -> bool:
    error = WorkerLostError(
        f"The worker died {task.attempts} times while it had this task.",
        "See the worker's log for memory or crashes; retry the task when that is mended.",
    )
    return end_task(task.pk, Task.Status.FAILED, attempt=task.attempts, error=error.as_dict())


def ids_in_queues() -> Iterator[str]:
    """The ids of the tasks whose messages lie in the queues now."""
    client = redis_client()
    for queue in settings.CELERY_TASK_QUEUES:
        for start in range(0, client.llen(queue), _PAGE):
            for message in client.lrange(queue, start, start + _PAGE - 1):
                # What somebody else left in a queue is no task of ours, and must not stop the sweep.
                with suppress(ValueError, KeyError, TypeError):
                    yield json.loads(message)["headers"]["id"]

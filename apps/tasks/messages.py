"""The message that brings a worker to a task's row: it carries the row's id and nothing else.

A message may be lost with Redis, or be delivered twice: the first is what the sweep is for (dispatch.py), the second is
harmless, because a worker takes a row by compare-and-set (execution.py).
"""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from celery import group
from django.conf import settings
from django.db import transaction
from kombu.exceptions import LimitExceeded, OperationalError
from kombu.pools import producers
from redis.exceptions import RedisError

from apps.tasks.models import Task
from nautilus.celery import app as celery_app
from nautilus.connections import redis_client

logger = logging.getLogger(__name__)

_PAGE = 1000


def send_after_commit(*tasks: Task) -> None:
    transaction.on_commit(lambda: send(*tasks), robust=True)


def send(*tasks: Task) -> bool:
    """Puts the tasks' messages on their queues, several as one Celery group; False where Redis is away.

    Then the sweep sends them.
    """
    messages = [celery_app.signature(task.kind, args=[str(task.id)], task_id=str(task.id)) for task in tasks]
    return put_on_queues(messages, _named(tasks))


def put_on_queues(messages: Sequence[Any], named: str) -> bool:
    """Sends Celery signatures, several as one group; False where Redis is away, with a line in the log about `named`.

    What is sent so must stand in the database, with something that looks for what was not sent.
    """
    try:
        with _producers().acquire(block=True, timeout=settings.REDIS_TIMEOUT_SECONDS) as producer:
            message = messages[0] if len(messages) == 1 else group(messages, app=celery_app)
            message.apply_async(producer=producer, retry=False)
    except (OperationalError, LimitExceeded, RedisError, OSError) as error:
        logger.warning("%s could not be sent now, and will be sent again: %s", named, error)
        return False
    return True


def _named(tasks: Sequence[Task]) -> str:
    first = f"task {tasks[0].id} ({tasks[0].kind})"
    return first if len(tasks) == 1 else f"{first} and {len(tasks) - 1} more"


@cache
def _producers() -> Any:
    """Producers with a short patience: a request that submits must not hang with a Redis that hangs."""
    options = {
        **settings.CELERY_BROKER_TRANSPORT_OPTIONS,
        "socket_timeout": settings.REDIS_TIMEOUT_SECONDS,
        "retry_on_timeout": False,
    }
    return producers[celery_app.connection_for_write(transport_options=options)]


def ids_in_queues() -> Iterator[str]:
    """The ids of the tasks whose messages lie in the queues now."""
    client = redis_client()
    for queue in settings.CELERY_TASK_QUEUES:
        for start in range(0, client.llen(queue), _PAGE):
            for message in client.lrange(queue, start, start + _PAGE - 1):
                # What somebody else left in a queue is no task of ours, and must not stop the sweep.
                with suppress(ValueError, KeyError, TypeError):
                    yield json.loads(message)["headers"]["id"]

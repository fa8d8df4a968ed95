"""Tasks that no worker has: in the queues, and those without a message there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now

from apps.operations.diagnosis.fixing import Fix
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status
from apps.tasks.dispatch import LONGEST_WAIT_SECONDS, sweep
from apps.tasks.messages import ids_in_queues
from apps.tasks.models import Task
from nautilus.connections import redis_client

DEGRADED_SECONDS = 60.0
UNHEALTHY_SECONDS = 300.0
MOST_LOOKED_AT = 10_000


@dataclass(frozen=True, slots=True)
class Waiting:
    task_id: str
    kind: str
    seconds: float
    has_message: bool


@register_probe("queue-lengths", Store.POSTGRESQL, Store.REDIS)
def look() -> Diagnosis:
    """Lengths of the queues, the age of the oldest task that no worker has, and tasks without a message"""
    client = redis_client()
    lengths = {name: int(client.llen(name)) for name in settings.CELERY_TASK_QUEUES}
    waiting = list(waiting_tasks())
    oldest = max((task.seconds for task in waiting), default=0.0)
    said = ", ".join(f"{name} {length}" for name, length in lengths.items())
    detail = f"{said}; {len(waiting)} tasks wait for a worker, the oldest for {oldest:.0f} s."
    return Diagnosis(detail, (*_late(waiting), *_without_message(waiting)))


def waiting_tasks() -> Iterator[Waiting]:
    """Open tasks that no worker holds, the oldest first."""
    queued = set(ids_in_queues())
    held = {"lease_expires_at__gte": Now()}
    rows = Task.objects.filter(status=Task.Status.PROCESSING, coalesced_with=None, parts=None).exclude(**held)
    aged = rows.annotate(age=Now() - F("created_at")).order_by("created_at")
    for pk, kind, age in aged.values_list("pk", "kind", "age")[:MOST_LOOKED_AT]:
        yield Waiting(str(pk), kind, age.total_seconds(), str(pk) in queued)


def _late(waiting: Sequence[Waiting]) -> Iterator[Finding]:
    late = [task for task in waiting if task.seconds > DEGRADED_SECONDS]
    if late:
        oldest = late[0]
        yield Finding(
            Status.UNHEALTHY if oldest.seconds > UNHEALTHY_SECONDS else Status.DEGRADED,
            f"{len(late)} tasks wait for more than {DEGRADED_SECONDS:g} s, the oldest for {oldest.seconds:.0f} s.",
            f"{oldest.kind} {oldest.task_id}: no worker of its queue is free, or none is left.",
            "scripts/manage.sh doctor --only workers queues",
            "queue-grown-long",
        )


def _without_message(waiting: Sequence[Waiting]) -> Iterator[Finding]:
    """The sweep sends them by itself; where they stay so for longer than it waits, it does not run."""
    lost = [task for task in waiting if not task.has_message and task.seconds > LONGEST_WAIT_SECONDS]
    if lost:
        yield Finding(
            Status.DEGRADED,
            f"{len(lost)} tasks have neither a worker nor a message in a queue.",
            "Their messages were lost with Redis, and the sweep has not sent them again: the scheduler is gone, or "
            "maintenance-worker.",
            "scripts/manage.sh doctor --fix --only queue-lengths",
            "redis-wiped",
            Fix("send what no worker has once more (the sweep)", send_again),
        )


def send_again() -> str:
    """What the sweep does every few seconds: a task that is sent twice is taken once."""
    counts: dict[str, Any] = sweep()
    return f"sent {counts['sent']} tasks again, ended {counts['given_up']} that had lost their worker too often"

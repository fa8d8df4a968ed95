"""Queues: how long they are, how long the oldest task has waited for a worker, and tasks that killed theirs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase

from django.conf import settings
from django.db.models import DurationField, Exists, ExpressionWrapper, F, Max, OuterRef, Q
from django.db.models.aggregates import Count
from django.db.models.functions import Greatest, Now
from redis import Redis

from apps.operations.checks.registry import register_check
from apps.operations.checks.standing_still import STANDING
from apps.operations.findings import Finding, Health, Status
from apps.operations.naming import NamingFinding
from apps.tasks.models import Task
from nautilus.connections import redis_client
from nautilus.pulses import worker_pulses

# How long a task may wait for a worker.
LONG_WAIT_SECONDS = 30.0
TOO_LONG_WAIT_SECONDS = 300.0
# So long a task that killed its workers, or asked for too much of them, is told of.
ENDINGS_TOLD = timedelta(minutes=15)
_MOST_NAMED = 5
SHOW_WORK = "scripts/manage.sh doctor --only queue-lengths worker-tasks"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Tasks of one queue that no worker has: how many, and for how long the oldest of them."""

    tasks: int
    oldest_seconds: float


@register_check("queues")
def check_queues() -> Health:
    lengths = lengths_of_queues(redis_client())
    waiting = waiting_tasks()
    ages = {queue: oldest_seconds(queue, lengths[queue], waiting) for queue in lengths}
    late = [_late(queue, seconds, lengths[queue], waiting) for queue, seconds in ages.items() if _is_late(seconds)]
    told = ", ".join(f"{queue} {length}" for queue, length in lengths.items())
    oldest = max(ages.values(), default=0.0)
    return Health(f"messages: {told}; the oldest task waits for {oldest:.0f} s", (*late, *_ended_badly()))


def lengths_of_queues(client: Redis) -> dict[str, int]:
    """Messages in each queue. Raises RedisError."""
    return STANDING.look(client, list(settings.CELERY_TASK_QUEUES))


def queue_of(kind: str) -> str:
    """Where tasks of a kind go."""
    routes = settings.CELERY_TASK_ROUTES.items()
    matching = (route["queue"] for pattern, route in routes if fnmatchcase(kind, pattern))
    return next(matching, settings.CELERY_TASK_DEFAULT_QUEUE)


def waiting_tasks() -> dict[str, Waiting]:
    """By queue, those of the table of tasks. Raises DatabaseError."""
    waiting: dict[str, Waiting] = {}
    for kind, tasks, oldest in _waiting_by_kind():
        queue = queue_of(kind)
        before = waiting.get(queue, Waiting(0, 0.0))
        waiting[queue] = Waiting(before.tasks + tasks, max(before.oldest_seconds, oldest.total_seconds()))
    return waiting


def _waiting_by_kind() -> Sequence[tuple[str, int, timedelta]]:
    """Open tasks that lead a computation, wait for no parts of their own, and that no worker holds (dispatch.py)."""
    parts = Task.objects.filter(part_of=OuterRef("pk"), status=Task.Status.PROCESSING)
    since = Greatest("created_at", "lease_expires_at")  # the lease of a worker that was lost
    age = ExpressionWrapper(Now() - since, output_field=DurationField())
    unheld = Task.objects.filter(status=Task.Status.PROCESSING, coalesced_with=None).exclude(Exists(parts))
    unheld = unheld.filter(Q(lease_expires_at=None) | Q(lease_expires_at__lt=Now()))
    by_kind = unheld.annotate(age=age).order_by().values("kind").annotate(tasks=Count("pk"), oldest=Max("age"))
    return list(by_kind.values_list("kind", "tasks", "oldest"))


def oldest_seconds(queue: str, length: int, waiting: dict[str, Waiting]) -> float:
    """For how long the oldest of a queue waits.

    By the rows; messages without a row (what beat sends, alerts) by how long the next one has been the next.
    """
    by_rows = waiting[queue].oldest_seconds if queue in waiting else 0.0
    return max(by_rows, STANDING.seconds(queue) if length else 0.0)


def _is_late(seconds: float) -> bool:
    return seconds > LONG_WAIT_SECONDS


def _late(queue: str, seconds: float, length: int, waiting: dict[str, Waiting]) -> Finding:
    tasks = waiting[queue].tasks if queue in waiting else 0
    why, remedy = _why_late(queue)
    return Finding(
        Status.UNHEALTHY if seconds > TOO_LONG_WAIT_SECONDS else Status.DEGRADED,
        f"Tasks of {queue} wait for {seconds:.0f} s",
        f"{tasks} tasks have no worker, {length} messages lie in {queue}: {why}",
        remedy,
        "queue-grown-long",
    )


def _why_late(queue: str) -> tuple[str, str]:
    """The reason and its remedy. Raises RedisError."""
    from apps.operations.checks import workers  # which counts messages by what is above

    alive = [pulse for pulse in worker_pulses(redis_client()) if pulse.silent_seconds <= workers.SILENT_SECONDS]
    if queue in workers.queues_without_worker(alive):
        return "no worker of it is alive.", workers.restart_of(queue)
    return "more comes in than its workers get done.", SHOW_WORK


def _ended_badly() -> list[Finding]:
    """Tasks that ended lately in a way that an operator should know of."""
    failed = Task.objects.filter(status=Task.Status.FAILED, finished_at__gte=Now() - ENDINGS_TOLD)
    newest = failed.filter(error__code__in=list(_ENDINGS)).order_by(F("finished_at").desc())
    return [
        _ENDINGS[(task.error or {})["code"]](task) for task in newest.only("kind", "error", "attempts")[:_MOST_NAMED]
    ]


def _killer(task: Task) -> Finding:
    said = str((task.error or {}).get("detail", ""))
    tried = f"It was tried {task.attempts} times, and given up"
    return NamingFinding(
        Status.DEGRADED,
        f"The task {task.pk} ({task.kind}) killed its workers",
        f"{tried}: {said}",
        f"curl -X POST http://localhost:8001/api/v1/tasks/{task.pk}/retry",
        "worker-poison-task",
        cause_for_all=f"{tried}.",
        symptom_for_all=f"A task ({task.kind}) killed its workers",
        remedy_for_all=SHOW_WORK,
    )


def _over_time(task: Task) -> Finding:
    return _took_too_much(task, f"A computation ({task.kind}) ran over its time", "analytics-over-time")


def _out_of_memory(task: Task) -> Finding:
    return _took_too_much(task, f"A computation ({task.kind}) ran out of memory", "worker-out-of-memory")


def _took_too_much(task: Task, symptom: str, section: str) -> Finding:
    said = " ".join(str((task.error or {}).get(name, "")) for name in ("detail", "remedy"))
    remedy = f"curl http://localhost:8001/api/v1/tasks/{task.pk}"
    return NamingFinding(
        Status.DEGRADED,
        symptom,
        f"The task {task.pk}: {said}",
        remedy,
        section,
        cause_for_all="It was ended, so that others have their turn.",
        remedy_for_all=SHOW_WORK,
    )


_ENDINGS = {"worker_lost": _killer, "time_limit_exceeded": _over_time, "out_of_memory": _out_of_memory}

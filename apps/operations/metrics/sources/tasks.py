"""Work that was asked for and has not ended, and strategies on their way."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.backends.utils import CursorWrapper
from django.db.models import Count
from prometheus_client import Metric

from apps.operations.metrics.families import gauge, single
from apps.operations.metrics.sources.querying import reading, row_of, rows_of, statement
from apps.operations.metrics.sources.registry import register_source
from apps.strategies.models import Deployment
from nautilus.celery import app

MOST_DEPLOYMENTS = 500

_COUNTS = {
    "working": ("deployments_working", "Deployments on their way through the pipeline"),
    "oldest_working_seconds": ("deployment_oldest_working_seconds", "How long the oldest of them is on its way"),
    "failed_last_hour": ("deployments_failed_last_hour", "Deployments that failed in the last hour"),
    "failed_rollbacks_last_hour": ("rollbacks_failed_last_hour", "Rollbacks that failed in the last hour"),
    "merge_requests_open": ("merge_requests_open", "Versions in conflict that nobody has resolved"),
    "oldest_merge_request_seconds": ("merge_request_oldest_seconds", "How long the oldest of them is open"),
}


@register_source("tasks")
def tasks() -> Iterator[Metric]:
    with reading() as cursor:
        yield from _open_tasks(cursor)
        yield from _deployments(cursor)


def _open_tasks(cursor: CursorWrapper) -> Iterator[Metric]:
    rows = rows_of(cursor, statement("tasks"), {})
    counts = [((kind, "running"), running) for kind, running, _, _ in rows]
    counts += [((kind, "waiting"), waiting) for kind, _, waiting, _ in rows]
    yield gauge("tasks_open", "Tasks that a worker has, and those that none has yet", ["kind", "state"], counts)
    oldest = dict.fromkeys(settings.CELERY_TASK_QUEUES, 0.0)
    for kind, _, _, age_seconds in rows:
        queue = queue_of(kind)
        oldest[queue] = max(oldest.get(queue, 0.0), age_seconds)
    ages = [((queue,), age) for queue, age in oldest.items()]
    yield gauge("queue_oldest_task_seconds", "How long the oldest task waits that no worker has", ["queue"], ages)


def queue_of(kind: str) -> str:
    """Where Celery sends a task of this name."""
    routed: Any = app.amqp.router.route({}, kind)
    return routed["queue"].name


def _deployments(cursor: CursorWrapper) -> Iterator[Metric]:
    rows: Any = Deployment.objects.order_by().values_list("status").annotate(Count("pk"))
    counted = dict(rows)
    named = [((status,), counted.get(status, 0)) for status in Deployment.Status.values]
    yield gauge("deployments", "Deployments by status, ended ones too", ["status"], named)
    figures = row_of(cursor, statement("deployments"))
    yield from (single(*_COUNTS[name], value) for name, value in figures.items())
    limit_seconds = settings.DEPLOYMENT_STUCK_MINUTES * 60
    yield single("deployment_stuck_after_seconds", "NAUTILUS_DEPLOYMENT_STUCK_MINUTES", limit_seconds)
    active = Deployment.objects.filter(status=Deployment.Status.ACTIVE).order_by("pk")
    failures = active.values_list("pk", "failures_in_row")[:MOST_DEPLOYMENTS]
    yield gauge(
        "deployment_failures_in_row",
        f"Runs of an active deployment that failed one after the other; of {MOST_DEPLOYMENTS} at the most",
        ["deployment"],
        [((deployment,), number) for deployment, number in failures],
    )

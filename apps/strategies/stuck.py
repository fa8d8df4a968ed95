"""Deployments that are on their way for too long, or whose task is gone: they end, and say so."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from apps.strategies.models import IN_PIPELINE, Deployment
from apps.strategies.rollback import stop_task
from apps.strategies.states import Status, end_deployment
from apps.tasks.models import Task

TIMEOUT = "Timeout"

# Waiting for somebody to approve is no work that could be stuck.
_WORKING = tuple(status for status in IN_PIPELINE if status != Status.AWAITING_APPROVAL)


def clear_stuck_deployments(older_than_minutes: float | None = None) -> list[str]:
    """Ends what has been on its way for longer, as failed with `Timeout`; answers the ids.

    A deployment whose task has failed or was cancelled ends at once, with the task's reason.
    """
    minutes = settings.DEPLOYMENT_STUCK_MINUTES if older_than_minutes is None else older_than_minutes
    late = Deployment.objects.filter(status__in=_WORKING, created_at__lt=Now() - timedelta(minutes=minutes))
    timed_out = [each for each in late if _fail(each, f"{TIMEOUT}: on its way for more than {minutes:g} minutes")]
    return sorted([each.pk for each in timed_out] + _end_orphans())


def _fail(deployment: Deployment, reason: str) -> bool:
    ended = end_deployment(deployment.pk, Status.FAILED, reason, among=_WORKING)
    if ended:
        stop_task(deployment)
    return ended


def _end_orphans() -> list[str]:
    """Their worker died too often, or somebody cancelled the task: nothing will bring them on."""
    ended = Task.objects.filter(~Q(status=Task.Status.PROCESSING))
    orphans = [*Deployment.objects.filter(status__in=_WORKING, task_id__in=ended.values("pk"))]
    tasks = Task.objects.in_bulk(orphan.task_id for orphan in orphans)
    return [orphan.pk for orphan in orphans if _fail(orphan, _why(tasks[orphan.task_id]))]


def _why(task: Task) -> str:
    error = task.error or {}
    return f"its task is {task.status}" + (f": {error['detail']}" if error.get("detail") else "")

"""Deployments that are on their way for too long, or whose task is gone: they end, and say so."""

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from apps.strategies.models import IN_PIPELINE, Deployment, DeploymentStep
from apps.strategies.rollback import end_on_its_way
from apps.strategies.states import Status
from apps.tasks.models import Task

TIMEOUT = "Timeout"

# Waiting for somebody to approve is no work that could be stuck.
_WORKING = tuple(status for status in IN_PIPELINE if status != Status.AWAITING_APPROVAL)


def clear_stuck_deployments(older_than_minutes: float | None = None) -> list[str]:
    """Ends what has been on its way for longer, as failed with `Timeout`; answers the ids.

    It counts from the request: one that no worker has begun is stuck as well. A deployment whose task has failed or was
    cancelled, or whose portfolio was closed, ends at once.
    """
    minutes = settings.DEPLOYMENT_STUCK_MINUTES if older_than_minutes is None else older_than_minutes
    return sorted([*_end_closed(), *_end_orphans(), *_end_late(minutes)])


def _end_late(minutes: float) -> Iterable[str]:
    begun = DeploymentStep.objects.filter(deployment=OuterRef("pk"), attempts__gt=0)
    late = Deployment.objects.filter(status__in=_WORKING, created_at__lt=Now() - timedelta(minutes=minutes))
    for deployment in late.annotate(is_begun=Exists(begun)):
        what = "on its way" if deployment.is_begun else "waiting for a worker of strategy_queue"
        if _fail(deployment, f"{TIMEOUT}: {what} for more than {minutes:g} minutes"):
            yield deployment.pk


def _fail(deployment: Deployment, reason: str) -> bool:
    return end_on_its_way(deployment, Status.FAILED, reason, among=_WORKING)


def _end_orphans() -> Iterable[str]:
    """Their worker died too often, or somebody cancelled the task: nothing will bring them on."""
    ended = Task.objects.filter(~Q(status=Task.Status.PROCESSING))
    orphans = [*Deployment.objects.filter(status__in=_WORKING, task_id__in=ended.values("pk"))]
    tasks = Task.objects.in_bulk(orphan.task_id for orphan in orphans)
    for orphan in orphans:
        if _fail(orphan, _why(tasks[orphan.task_id])):
            yield orphan.pk


def _why(task: Task) -> str:
    error = task.error or {}
    return f"its task is {task.status}" + (f": {error['detail']}" if error.get("detail") else "")


def _end_closed() -> Iterable[str]:
    """Also of those that wait for somebody: nothing can be active on a closed portfolio."""
    for deployment in Deployment.objects.filter(status__in=IN_PIPELINE, portfolio__closed_at__isnull=False):
        reason = f"{deployment.portfolio_id} was closed"
        if end_on_its_way(deployment, Status.FAILED, reason):
            yield deployment.pk

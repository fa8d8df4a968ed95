"""The task that brings an active deployment up to the newest trading day."""

import logging
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import Count, Q
from django.utils import timezone
from redis.exceptions import RedisError

from apps.portfolios.histories import refresh_history
from apps.portfolios.matrix import load_current_matrix
from apps.strategies.asking import Strategies
from apps.strategies.brokers import broker_for
from apps.strategies.errors import DeploymentEndedError
from apps.strategies.models import Deployment, DeploymentOrder
from apps.strategies.running.failures import is_counted, note_error
from apps.strategies.running.runner import Runner
from apps.strategies.running.settling import settle
from apps.strategies.running.stages import MovedOnError
from apps.tasks.errors import JobStoppedError
from apps.tasks.execution import Job, Outcome, as_domain_error
from nautilus.api.errors import DomainError, ended_by_limit

logger = logging.getLogger(__name__)

Order = DeploymentOrder.Status


def run_deployment(job: Job) -> Outcome:
    """Tried again after a worker's death, it goes on where that one had come to.

    One that another worker brings on is left alone, and of one that has ended only what a real broker still tells is
    booked: the result says its status. Raises what went wrong with a run.
    """
    deployment = _load(job.task.inputs["deployment_id"])
    begun = timezone.now()
    try:
        runner = _run(job, deployment)
    except Exception as error:
        if not _goes_on_by_itself(error):
            _note(job, deployment, error)
        raise
    return Outcome(_result(deployment, begun, runner))


def _goes_on_by_itself(error: Exception) -> bool:
    """The task has been taken away, or a store went away under it: it is tried again as it is."""
    lost = isinstance(error, (JobStoppedError, OperationalError, InterfaceError, RedisError))
    return lost and ended_by_limit(error) is None


def _note(job: Job, deployment: Deployment, error: Exception) -> None:
    """Of whatever else went wrong, a fault of ours or the task's time limit among it; what is counted is noted."""
    if isinstance(error, DomainError) and is_counted(error):
        return
    try:
        note_error(deployment, as_domain_error(error, job))
    except Exception:  # the connection may be in the middle of a query; the task's own end says it all the same
        logger.exception("What went wrong with %s could not be noted", deployment.pk)


def _load(deployment_id: str) -> Deployment:
    related = [f"{prefix}{name}" for prefix in ("", "previous__") for name in ("version", "portfolio")]
    return Deployment.objects.select_related(*related).get(pk=deployment_id)


def _run(job: Job, deployment: Deployment) -> Runner | None:
    """None for one that has ended."""
    matrix = load_current_matrix()
    if deployment.status != Deployment.Status.ACTIVE:
        settle(deployment, matrix)
        return None
    with Strategies(matrix) as strategies:
        runner = Runner(deployment, matrix, broker_for(deployment.environment), strategies, job.progress)
        with suppress(DeploymentEndedError, MovedOnError):  # nothing is half done: each stage was written as a whole
            runner.go()
    refresh_history(deployment.portfolio_id)
    return runner


def _result(deployment: Deployment, begun: datetime, runner: Runner | None) -> dict[str, Any]:
    days = runner.days if runner else []
    return {
        "deployment_id": deployment.pk,
        "from": str(days[0]) if days else None,
        "to": str(days[-1]) if days else None,
        "days": len(days),
        "decisions": runner.decisions if runner else 0,
        "orders": _orders(deployment, begun),
        "status": Deployment.objects.values_list("status", flat=True).get(pk=deployment.pk),
    }


def _orders(deployment: Deployment, begun: datetime) -> dict[str, int]:
    """What ended since, by how it did, and what is open now."""
    ended = {
        str(status): Count("pk", filter=Q(status=status, ended_at__gte=begun))
        for status in (Order.FILLED, Order.REFUSED, Order.CANCELLED)
    }
    counts: dict[str, int] = deployment.orders.aggregate(**ended, open=Count("pk", filter=Q(status=Order.OPEN)))
    return counts

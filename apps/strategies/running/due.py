"""Which deployments have something to do; beat asks."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
from django.db.models import Max, Min, QuerySet
from django.utils import timezone

from apps.portfolios.errors import NoPricesError
from apps.portfolios.matrix import PriceMatrix, load_current_matrix
from apps.portfolios.models import PriceVersion
from apps.strategies.brokers import broker_for
from apps.strategies.kinds import RUN
from apps.strategies.models import Deployment
from apps.strategies.running.calendar import rows_between, unseen_rows
from apps.strategies.running.orders import open_orders
from apps.strategies.running.settling import settling_deployments
from apps.tasks.models import Task
from apps.tasks.submission import submit_task

logger = logging.getLogger(__name__)

# Until the next try after an error, unless new closes come: what was wrong may be mended meanwhile. For as long a
# strategy's failures on one day count as one (failures.py): its prices may come in several imports.
RETRY_SECONDS = 300

# No task waits and runs for longer: how far back its row is looked for.
_LONGEST_TASK = timedelta(days=1)


def submit_due_runs() -> int:
    """A task for each deployment that has a day or a fill to deal with and no task yet; answers how many.

    One that cannot be looked at is logged and does not stop the others.
    """
    try:
        matrix = load_current_matrix()
    except NoPricesError:
        return 0
    return sum(_submitted(deployment, matrix) for deployment in _idle())


def _idle() -> Iterator[Deployment]:
    processing = Task.objects.filter(kind=RUN, status=Task.Status.PROCESSING)
    under_way = set(processing.values_list("inputs__deployment_id", flat=True))
    active = Deployment.objects.filter(status=Deployment.Status.ACTIVE)
    for deployment in (active | settling_deployments()).select_related("version", "portfolio").order_by("pk"):
        if deployment.pk not in under_way:
            yield deployment


def _submitted(deployment: Deployment, matrix: PriceMatrix) -> bool:
    try:
        is_due = has_work(deployment, matrix)
    except Exception:
        logger.exception("Whether %s is due could not be seen", deployment.pk)
        return False
    if is_due:
        submit_run(deployment)
    return is_due


def submit_run(deployment: Deployment) -> Task:
    """Two at once share one computation: the key names the deployment and nothing of the data."""
    inputs = {
        "deployment_id": deployment.pk,
        "strategy_id": deployment.strategy_id,
        "version": deployment.version.version,
    }
    return submit_task(RUN, inputs, user=None, portfolio_id=deployment.portfolio_id)


def has_work(deployment: Deployment, matrix: PriceMatrix) -> bool:
    """A trading day that it has not dealt with, one that failed among them, or an order that can be filled.

    Of one that has ended (settling.py): that its broker was not asked for RETRY_SECONDS.
    """
    if deployment.status != Deployment.Status.ACTIVE:
        return not broker_for(deployment.environment).simulated and not _has_run_lately(deployment)
    has_any = bool(len(unseen_rows(deployment, matrix))) or _can_fill(deployment, matrix)
    return has_any and not _waits(deployment, matrix)


def _waits(deployment: Deployment, matrix: PriceMatrix) -> bool:
    """For RETRY_SECONDS after an error, or a task that failed in any way, as long as the prices are what they were."""
    failed_at = max(filter(None, [deployment.last_error_at, _task_failed_at(deployment)]), default=None)
    if failed_at is None or timezone.now() - failed_at >= timedelta(seconds=RETRY_SECONDS):
        return False
    return not PriceVersion.objects.filter(pk=matrix.version, created_at__gt=failed_at).exists()


def _task_failed_at(deployment: Deployment) -> datetime | None:
    return _tasks_of(deployment).filter(status=Task.Status.FAILED).aggregate(last=Max("finished_at"))["last"]


def _has_run_lately(deployment: Deployment) -> bool:
    since = timezone.now() - timedelta(seconds=RETRY_SECONDS)
    return _tasks_of(deployment).filter(finished_at__gt=since).exists()


def _tasks_of(deployment: Deployment) -> QuerySet[Task]:
    earliest = timezone.now() - _LONGEST_TASK
    return Task.objects.filter(kind=RUN, inputs__deployment_id=deployment.pk, created_at__gte=earliest)


def _can_fill(deployment: Deployment, matrix: PriceMatrix) -> bool:
    """Whether an open order has a close by now on a day that was dealt with without it; a real broker is asked."""
    orders = open_orders(deployment.pk).order_by()
    symbols = list(orders.values_list("instrument_id", flat=True).distinct())
    if not symbols or deployment.last_day is None:
        return False
    if not broker_for(deployment.environment).simulated:
        return True
    oldest = orders.aggregate(oldest=Min("run__day"))["oldest"]
    rows = rows_between(deployment, matrix, oldest, deployment.last_day)
    return bool(np.isfinite(matrix.closes(symbols, rows)).any())

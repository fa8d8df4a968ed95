"""Which active deployments have something to do; beat asks."""

import logging
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
from django.db.models import Min
from django.utils import timezone

from apps.portfolios.errors import NoPricesError
from apps.portfolios.matrix import PriceMatrix, load_current_matrix
from apps.strategies.brokers import broker_for
from apps.strategies.kinds import RUN
from apps.strategies.models import Deployment, DeploymentRun
from apps.strategies.running.calendar import rows_between, unseen_rows
from apps.strategies.running.orders import open_orders
from apps.tasks.models import Task
from apps.tasks.submission import submit_task

logger = logging.getLogger(__name__)

# Until the next try after an error, unless new closes come: what was wrong may be mended meanwhile. A symbol's missing
# close is a failure that counts, and prices may come in several imports.
RETRY_SECONDS = 300


def submit_due_runs() -> int:
    """A task for each active deployment that has a day or a fill to deal with and no task yet; answers how many.

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
    active = Deployment.objects.filter(status=Deployment.Status.ACTIVE).select_related("version", "portfolio")
    for deployment in active.order_by("pk"):
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
    """A trading day that it has not dealt with, one that failed among them, or an order that can be filled."""
    if _waits(deployment, matrix):
        return False
    return bool(len(unseen_rows(deployment, matrix))) or _can_fill(deployment, matrix)


def _waits(deployment: Deployment, matrix: PriceMatrix) -> bool:
    if deployment.last_error_at is None:
        return False
    if timezone.now() - deployment.last_error_at >= timedelta(seconds=RETRY_SECONDS):
        return False
    failed = deployment.runs.filter(status=DeploymentRun.Status.FAILED).order_by("-day").first()
    return failed is None or failed.price_version == matrix.version


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

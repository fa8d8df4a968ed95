"""A real broker after its deployment has ended: what was open is taken back, or was filled before that came through."""

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.portfolios.histories import refresh_history
from apps.portfolios.matrix import PriceMatrix
from apps.strategies.brokers import broker_for
from apps.strategies.models import Deployment, DeploymentOrder, Environment
from apps.strategies.running.filling import Filling, market_of
from apps.strategies.running.orders import work_open_orders
from apps.strategies.states import hold_deployment
from apps.strategies.universe import trading_rows

# Over a weekend: a broker that was away when its orders were taken back is told again, and asked what it filled.
SETTLING_DAYS = 3


def settling_deployments() -> QuerySet[Deployment]:
    """Live ones that ended in the last SETTLING_DAYS and took orders back."""
    since = timezone.now() - timedelta(days=SETTLING_DAYS)
    taken_back = DeploymentOrder.objects.filter(status=DeploymentOrder.Status.CANCELLED, ended_at__gte=since)
    return Deployment.objects.filter(
        environment=Environment.LIVE,
        activated_at__isnull=False,
        ended_at__gte=since,
        pk__in=taken_back.order_by().values("deployment"),
    )


def settle(deployment: Deployment, matrix: PriceMatrix) -> None:
    """Tells the broker once more that nothing is open, and books what it has filled; nothing is decided any more.

    Does nothing for one that is not settling, or whose broker simulates. Raises NoBrokerError.
    """
    if not settling_deployments().filter(pk=deployment.pk).exists():
        return
    broker = broker_for(deployment.environment)
    if broker.simulated:
        return
    work_open_orders(deployment.pk)
    with transaction.atomic():
        held = hold_deployment(deployment.pk)
        booked = Filling(held, broker, market_of(held, [], matrix, int(trading_rows(held, matrix)[-1]))).fill()
    if booked:
        refresh_history(deployment.portfolio_id)

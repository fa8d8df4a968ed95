"""Orders that are open, and how they end."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.portfolios.models import Trade
from apps.strategies.brokers import OpenOrder, broker_for
from apps.strategies.models import Deployment, DeploymentOrder
from apps.strategies.running.events import tell_orders

Status = DeploymentOrder.Status

_LONGEST_NAME = 100  # of an external_id


def open_orders(deployment_id: str) -> QuerySet[DeploymentOrder]:
    """In the order of filling, which is that of their rows: a decision writes its sales first (deciding.py)."""
    orders = DeploymentOrder.objects.filter(deployment=deployment_id, status=Status.OPEN)
    return orders.select_related("run").order_by("pk")


def order_name(order: DeploymentOrder) -> str:
    """The order's name for checks, reservations and brokers, the same whenever it is asked for."""
    name = f"{order.deployment_id}/{order.run.day}/{order.instrument_id}"
    return name if len(name) <= _LONGEST_NAME else hashlib.sha256(name.encode()).hexdigest()


def as_open(order: DeploymentOrder) -> OpenOrder:
    return OpenOrder(order.pk, order_name(order), order.instrument_id, order.quantity)


def cancel_open_orders(deployment_id: str, reason: str) -> int:
    """In the caller's transaction, which holds the deployment; the broker is told after it."""
    orders = list(open_orders(deployment_id))
    for order in orders:
        end_order(order, Status.CANCELLED, reasons=[reason])
    if orders:
        work_after_commit(deployment_id)
    return len(orders)


def end_order(order: DeploymentOrder, status: str, *, reasons: Sequence[str] = (), trade: Trade | None = None) -> None:
    """Moves an order that is open to one of its ends. Raises ValueError for one that has ended."""
    ended: dict[str, Any] = {"status": status, "reasons": list(reasons), "trade": trade, "ended_at": timezone.now()}
    if not DeploymentOrder.objects.filter(pk=order.pk, status=Status.OPEN).update(**ended):
        raise ValueError(f"order {order.pk} has ended already: it cannot become {status}")
    for name, value in ended.items():
        setattr(order, name, value)
    tell_orders([order])


def work_after_commit(deployment_id: str) -> None:
    """Tells the broker what is open then. robust: what it misses now, the next run says again."""
    transaction.on_commit(partial(work_open_orders, deployment_id), robust=True)


def work_open_orders(deployment_id: str) -> None:
    """Raises NoBrokerError."""
    environment = Deployment.objects.values_list("environment", flat=True).get(pk=deployment_id)
    broker_for(environment).work(deployment_id, [as_open(order) for order in open_orders(deployment_id)])

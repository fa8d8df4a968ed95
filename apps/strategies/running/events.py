"""News of runs and orders on the deployment's topic, after commit."""

from collections.abc import Iterable
from typing import Any

from apps.realtime.topics import publish_after_commit
from apps.strategies.models import DeploymentOrder, DeploymentRun


def tell_orders(orders: Iterable[DeploymentOrder]) -> None:
    """One message an order."""
    for order in orders:
        _tell(
            order.run,
            "deployment.order",
            order_id=order.pk,
            symbol=order.instrument_id,
            quantity=float(order.quantity),
            status=order.status,
            reasons=order.reasons,
            trade_id=order.trade_id,
            price=float(order.trade.price) if order.trade else None,
        )


def tell_run(run: DeploymentRun) -> None:
    _tell(
        run,
        "deployment.run",
        status=run.status,
        attempts=run.attempts,
        equity=run.equity,
        weights=run.weights,
        share=run.share,
        error=run.error,
    )


def _tell(run: DeploymentRun, event: str, **more: Any) -> None:
    head = {"event": event, "deployment_id": run.deployment_id, "day": run.day}
    publish_after_commit(f"deployments:{run.deployment_id}", {**head, **more})

"""What beat asks for: no task rows, nothing a client waits for."""

from celery import shared_task

from apps.operations.timeseries import retention
from apps.portfolios import histories, price_import, reservations
from apps.realtime import metrics
from apps.realtime.websocket_manager import WebSocketManager
from apps.risk import all_portfolios
from apps.tasks import dispatch
from nautilus.api import authentication, idempotency


@shared_task(name="tasks.sweep")
def sweep() -> dict[str, int]:
    return dispatch.sweep()


@shared_task(name="portfolios.refresh_histories")
def refresh_histories() -> int:
    return histories.refresh_histories()


@shared_task(name="portfolios.expire_reservations")
def expire_reservations() -> int:
    return reservations.expire_reservations()


@shared_task(name="maintenance.forget")
def forget() -> dict[str, int]:
    """Deletes what nobody will ask for any more."""
    return {
        "answers": idempotency.forget_old_answers(),
        "uploads": price_import.forget_uploads(),
        "tokens": authentication.forget_expired_tokens(),
    }


@shared_task(name="maintenance.retain")
def retain() -> dict[str, int]:
    """What is old, by table; how it went stands in operations_retention."""
    return {swept.table: swept.deleted for swept in retention.enforce_retention()}


@shared_task(name="websocket.record_metrics")
def record_websocket_metrics() -> int:
    return metrics.record_metrics(WebSocketManager().ask())


@shared_task(name="risk.nightly")
def analyze_all_portfolios() -> str:
    """The task's id: how it went stands there."""
    return str(all_portfolios.submit_all(all_portfolios.DEFAULTS, user=None).pk)

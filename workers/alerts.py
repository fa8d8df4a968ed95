"""Alerts: no task rows, because each delivery has a row of its own."""

from celery import shared_task

from apps.risk import alerts, deliveries


@shared_task(name="alerts.deliver")
def deliver(delivery_id: str, attempts: int | None = None) -> None:
    """In threads, where no time limit of Celery's ends it: every call to the far side has its own."""
    deliveries.deliver(delivery_id, attempts)


@shared_task(name="alerts.send_due")
def send_due() -> dict[str, int]:
    return alerts.send_due()

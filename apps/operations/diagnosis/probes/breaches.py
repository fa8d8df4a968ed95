"""Open breaches that nobody was told of."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from apps.operations.checks.notifications import _is_taken_by_a_channel
from apps.operations.diagnosis.fixing import Fix
from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status
from apps.risk.alerts import send_due
from apps.risk.deliveries import resend
from apps.risk.models import AlertChannel, AlertDelivery, RiskEvent
from nautilus.api.errors import DomainError

LATE = timedelta(seconds=60)
SECTION = "alerts-not-delivered"
REMEDY = "scripts/manage.sh doctor --fix --only open-breaches"


@register_probe("open-breaches", Store.POSTGRESQL)
def look() -> Diagnosis:
    """Open breaches that a channel should have been told of, and of which nothing was delivered"""
    deliveries = AlertDelivery.objects.filter(event=OuterRef("pk"))
    delivered = Exists(deliveries.filter(status=AlertDelivery.Status.DELIVERED))
    channels = Exists(AlertChannel.objects.filter(portfolio=OuterRef("portfolio"), enabled=True))
    failed = Exists(deliveries.filter(channel__enabled=True, attempts__gt=0))
    opened = RiskEvent.objects.filter(event_type=RiskEvent.Type.LIMIT_BREACH, closed_at=None, acknowledged_at=None)
    told_to_nobody = opened.filter(~channels).count()
    owed = opened.filter(_is_taken_by_a_channel() | Q(failed), ~delivered, timestamp__lt=Now() - LATE)
    late = list(owed.order_by("timestamp")[:100])
    detail = (
        f"{opened.count()} breaches are open and not acknowledged; {told_to_nobody} of portfolios without a "
        f"channel, and {len(late)} of which nothing was delivered within {LATE.total_seconds():g} s."
    )
    return Diagnosis(detail, tuple(_findings(late)))


def _findings(late: list[RiskEvent]) -> Iterator[Finding]:
    if not late:
        return
    last = AlertDelivery.objects.filter(event__in=late).order_by("-attempts").first()
    said = f"{last.kind}: {last.last_answer}" if last and last.last_answer else "no attempt was made yet"
    yield Finding(
        Status.UNHEALTHY,
        f"{len(late)} open breaches were told to nobody; the oldest: {late[0].message}",
        f"The far side said, {said}",
        REMEDY,
        SECTION,
        Fix("send again what was given up, and queue what is due", partial(send_again, late)),
    )


def send_again(events: list[RiskEvent]) -> str:
    """Under the same ids, by which the far side knows a repeat."""
    dead = AlertDelivery.objects.filter(event__in=events, status=AlertDelivery.Status.DEAD)
    revived = sum(_revive(delivery) for delivery in dead)
    return f"made {revived} deliveries due again, queued {send_due()['queued']}"


def _revive(delivery: AlertDelivery) -> bool:
    try:
        resend(delivery)
    except DomainError:
        return False  # its channel is gone, or somebody else was faster
    return True

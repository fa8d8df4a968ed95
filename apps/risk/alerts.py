"""What people do with alerts, acknowledge and try them, and what is looked after every second."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from apps.portfolios.models import Portfolio
from apps.realtime.topics import publish_after_commit
from apps.risk.deliveries import Outcome, queue_due, release_lost, tell
from apps.risk.events import event_as_dict, publish_event, publish_unpublished, publish_up_to, topic_of
from apps.risk.models import AlertChannel, RiskEvent, Severity
from apps.risk.notifications import notice_of
from apps.risk.reminders import escalate, remind

# How many channels are tried at the same time; each ends within some ALERT_TIMEOUT_SECONDS.
_TRIED_AT_ONCE = 16


def send_due() -> dict[str, int]:
    """Does what was left undone: events that were not published, deliveries that are due or whose sender died.

    Cheap where there is nothing to do, and safe when two run at once.
    """
    return {
        "published": publish_unpublished(),
        "released": release_lost(),
        "escalated": escalate(),
        "reminded": remind(),
        "queued": queue_due(),
    }


@transaction.atomic
def acknowledge_event(event: RiskEvent, user: Any) -> RiskEvent:
    """Says that somebody looks after it: no reminders, no escalation. The first one stands."""
    is_first = RiskEvent.objects.filter(pk=event.pk, acknowledged_at=None).update(
        acknowledged_at=Now(), acknowledged_by=user
    )
    event.refresh_from_db()
    if is_first:
        _tell_acknowledged(event)
    return event


def _tell_acknowledged(event: RiskEvent) -> None:
    if event.published_at:
        publish_after_commit(topic_of(event), event_as_dict(event, "alert.acknowledged"))
    else:  # the two go out together, or this would come before what it is about
        transaction.on_commit(lambda: publish_up_to([event]), robust=True)


@dataclass(frozen=True, slots=True)
class Trial:
    """A test message: what each channel said, and the number it got on the topic (None: Redis is away)."""

    event: RiskEvent
    results: list[tuple[AlertChannel, Outcome]]
    topic: str
    seq: int | None


def send_test_alerts(portfolio: Portfolio, user: Any) -> Trial:
    """Sends a test message on every channel that is switched on, now and once, and on the topic."""
    event = RiskEvent(
        portfolio=portfolio,
        event_type=RiskEvent.Type.TEST,
        severity=Severity.INFO,
        message=f"Test message for {portfolio.pk}, asked for by {user}: nothing has happened.",
    )
    event.closed_at = event.timestamp
    event.save()
    channels = list(AlertChannel.objects.filter(portfolio=portfolio, enabled=True))
    with ThreadPoolExecutor(min(len(channels), _TRIED_AT_ONCE) or 1) as pool:
        outcomes = list(pool.map(lambda channel: tell(channel, notice_of(event, uuid.uuid4())), channels))
    return Trial(event, list(zip(channels, outcomes, strict=True)), topic_of(event), publish_event(event))

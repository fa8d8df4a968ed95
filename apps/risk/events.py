"""Recording what happened to a portfolio's risk: stored first, then pushed to the sockets and told to the channels.

An event is written in the transaction that changed what it tells of, with the deliveries that it causes. Whatever dies
after the commit, or finds Redis away, leaves rows that `alerts.send_due` looks for every second.
"""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from redis.exceptions import RedisError

from apps.realtime.topics import publish_once
from apps.risk.deliveries import make_first_deliveries, send_first
from apps.risk.models import RiskEvent

logger = logging.getLogger(__name__)

Type = RiskEvent.Type

# Over when they happen; all others are open until something closes them.
MOMENTARY = frozenset(
    {
        Type.LIMIT_CLEARED,
        Type.PRICES_FRESH,
        Type.MONITORING_STARTED,
        Type.MONITORING_RESUMED,
        Type.TRADING_STATE,
        Type.TEST,
    }
)
ALL_PORTFOLIOS_TOPIC = "risk:alerts:all"
# Younger ones are being published by who recorded them.
UNPUBLISHED_AFTER = timedelta(seconds=2)

_CHUNK = 200  # rows that are held while they are published: for some 30 ms


@transaction.atomic
def record_events(events: Sequence[RiskEvent]) -> None:
    """Stores the events, each with a delivery for every channel that is to be told of it at once.

    Call it in the transaction that changes what they tell of. After the commit they are published and sent.
    """
    if not events:
        return
    for event in events:
        _complete(event)
    RiskEvent.objects.bulk_create(events)
    delivery_ids = make_first_deliveries([event.pk for event in events])
    transaction.on_commit(lambda: publish_up_to(events), robust=True)
    transaction.on_commit(lambda: send_first(delivery_ids), robust=True)


def _complete(event: RiskEvent) -> None:
    event.value = _finite(event.value)
    event.threshold = _finite(event.threshold)
    if event.event_type in MOMENTARY and event.closed_at is None:
        event.closed_at = event.timestamp


def _finite(value: float | None) -> float | None:
    """JSON has neither NaN nor infinity: a message that cannot be written would be tried for ever."""
    return value if value is not None and math.isfinite(value) else None


def close_limit_events(limit_ids: Iterable[int]) -> int:
    """Closes what is open of these limits; returns how many events that was."""
    return _close(Q(limit_id__in=list(limit_ids)))


def close_portfolio_events(portfolio_ids: Iterable[str | None], event_types: Iterable[str]) -> int:
    """Closes the open events of these types; None among the ids stands for those about all portfolios."""
    ids = list(portfolio_ids)
    about_all = Q(portfolio=None) if None in ids else Q(pk__in=[])
    return _close((Q(portfolio_id__in=[each for each in ids if each]) | about_all) & Q(event_type__in=event_types))


def _close(which: Q) -> int:
    return RiskEvent.objects.filter(which, closed_at=None).update(closed_at=Now())


# --- To the sockets ---------------------------------------------------------------------------------------
def topic_of(event: RiskEvent) -> str:
    return f"risk:alerts:{event.portfolio_id}" if event.portfolio_id else ALL_PORTFOLIOS_TOPIC


def event_as_dict(event: RiskEvent, happened: str = "alert.raised") -> dict[str, Any]:
    """What goes over the topic; keys that the REST alert has too mean the same there."""
    return {
        "event": happened,
        "event_id": event.pk,
        "id": event.pk,
        "event_type": event.event_type,
        "severity": event.severity,
        "portfolio_id": event.portfolio_id,
        "limit_id": event.limit_id,
        "kind": event.kind or None,
        "symbol": event.symbol or None,
        "value": event.value,
        "threshold": event.threshold,
        "message": event.message,
        "timestamp": event.timestamp,
        "closed_at": event.closed_at,
        "acknowledged_at": event.acknowledged_at,
        "acknowledged_by": event.acknowledged_by.get_username() if event.acknowledged_by else None,
    }


def publish_event(event: RiskEvent) -> int | None:
    """Its number on the topic, or None where Redis is away: then `publish_unpublished` does it later."""
    seqs = _send([event])
    if not seqs:
        return None
    RiskEvent.objects.filter(pk=event.pk).update(published_at=Now())
    return seqs[0]


def publish_unpublished() -> int:
    """Publishes what nobody has: who recorded it died, or Redis was away. Returns how many events that was."""
    late = RiskEvent.objects.filter(published_at=None, timestamp__lte=timezone.now() - UNPUBLISHED_AFTER)
    published = 0
    while chunk := _publish_locked(late):
        published += chunk
    return published


def publish_up_to(events: Sequence[RiskEvent]) -> None:
    """Publishes these after what still waits of the same books: what is over must not be told before that it began."""
    ids = {event.portfolio_id for event in events}
    books = Q(portfolio_id__in=ids - {None}) | (Q(portfolio=None) if None in ids else Q(pk__in=[]))
    last = max(event.pk for event in events)
    # Waits for who is publishing one of them, so that it does not go past it.
    while _publish_locked(RiskEvent.objects.filter(books, pk__lte=last, published_at=None), skip_locked=False):
        pass


@transaction.atomic
def _publish_locked(events: QuerySet[RiskEvent], *, skip_locked: bool = True) -> int:
    """Publishes the first chunk of these, less what others are publishing if so asked; none where Redis is away."""
    held = events.select_related("acknowledged_by").select_for_update(
        skip_locked=skip_locked, of=("self",), no_key=True
    )
    chunk = list(held.order_by("pk")[:_CHUNK])
    if not _send(chunk):
        return 0
    return RiskEvent.objects.filter(pk__in=[event.pk for event in chunk]).update(published_at=Now())


def _send(events: Sequence[RiskEvent]) -> list[int]:
    """The numbers of their messages, or none where Redis is away.

    They wait in their table, not in the process's outbox as well. What Redis took without our hearing of it, or before
    we died, it does not take again.
    """
    messages = [message for event in events for message in _messages(event)]
    try:
        return publish_once(messages)
    except (RedisError, OSError) as error:
        logger.warning("%d events are published later: Redis did not answer: %s", len(events), error)
        return []


def _messages(event: RiskEvent) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, topic and data; of one that somebody has acknowledged before it could be published, two."""
    yield _name(event), topic_of(event), event_as_dict(event)
    if event.acknowledged_at:
        yield f"{_name(event)}:acknowledged", topic_of(event), event_as_dict(event, "alert.acknowledged")


def _name(event: RiskEvent) -> str:
    return f"risk_event:{event.pk}:{event.timestamp.timestamp()}"

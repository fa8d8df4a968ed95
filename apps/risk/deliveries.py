"""A delivery's life: pending, sending, then delivered; or pending again after a longer wait, or dead.

Each step is a compare-and-set on the state and the number of attempts, by the database's clock. A message in the queue
names the attempts that its delivery had: one that comes twice, or late, finds another number and does nothing.
"""

import logging
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from redis.exceptions import RedisError

from apps.risk.errors_alerts import ChannelGoneError, NotDeadError, NotDeliveredError, TargetError
from apps.risk.models import AlertChannel, AlertDelivery, DeliveryAttempt, Severity
from apps.risk.notifications import Notice, notice_of, notifier_of
from apps.tasks.messages import put_on_queues
from nautilus.celery import app as celery_app
from nautilus.connections import redis_client
from nautilus.counting.counters import count_alert_attempt

logger = logging.getLogger(__name__)

Status = AlertDelivery.Status

QUEUE = "alerts_queue"
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
# How long a message may wait in the queue before another is sent, and how many may wait at once: to send one takes
# some 0.5 ms, which neither the monitor's commit nor the sweep has for thousands.
QUEUED_FOR = timedelta(seconds=5)
MOST_QUEUED = 300
# As many as there are senders: what failed before, a far side that hangs say, holds up new alerts for one time limit.
MOST_FAILED_QUEUED = 16
MOST_AFTER_COMMIT = 100
LEAST_LEASE_SECONDS = 30.0

_FIRST = (Path(__file__).parent / "sql" / "alert_first.sql").read_text()
_SENDER_LOST = "The sender was lost while it sent this; whether it arrived is not known."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt. `permanent`: another would end the same."""

    delivered: bool
    answer: str
    permanent: bool = False
    retry_after_seconds: float = 0.0
    elapsed_ms: float = 0.0


# --- Made, and sent to a worker ---------------------------------------------------------------------------
def make_first_deliveries(event_ids: Sequence[int]) -> list[UUID]:
    """One delivery for each event and each channel that is told of it at once; returns the new ones' ids."""
    if not event_ids:
        return []
    parameters: dict[str, Any] = {"event_ids": list(event_ids), "severities": Severity.values, "queued_for": QUEUED_FOR}
    with connection.cursor() as cursor:
        cursor.execute(_FIRST, parameters)
        return [row[0] for row in cursor.fetchall()]


def send_first(delivery_ids: Sequence[UUID]) -> None:
    """Queues new deliveries, and leaves to `queue_due` what would take too long now."""
    at_once, rest = delivery_ids[:MOST_AFTER_COMMIT], delivery_ids[MOST_AFTER_COMMIT:]
    if rest:
        AlertDelivery.objects.filter(pk__in=rest, status=Status.PENDING).update(next_attempt_at=Now())
    send_deliveries([(each, 0) for each in at_once])


def send_deliveries(due: Iterable[tuple[UUID, int]]) -> bool:
    """Queues (delivery id, attempts so far); what cannot be queued is found again by `queue_due`."""
    messages = [celery_app.signature("alerts.deliver", args=[str(pk), attempts]) for pk, attempts in due]
    return put_on_queues(messages, f"{len(messages)} alert deliveries") if messages else True


def queue_due() -> int:
    """Queues what is due, each delivery once in a while, so that a message that was lost is sent again."""
    due = AlertDelivery.objects.filter(status=Status.PENDING, next_attempt_at__lte=Now())
    room = _room_in_queue() if due.exists() else 0
    if room <= 0:
        return 0
    with transaction.atomic():
        # What is new goes before what failed: one far side that hangs must not hold up the others.
        chosen = due.select_for_update(skip_locked=True).order_by("next_attempt_at")
        rows = list(chosen.filter(attempts=0).values_list("pk", "attempts")[:room])
        again = min(room - len(rows), MOST_FAILED_QUEUED - (MOST_QUEUED - room))
        if again > 0:
            rows += chosen.filter(attempts__gt=0).values_list("pk", "attempts")[:again]
        AlertDelivery.objects.filter(pk__in=[pk for pk, _ in rows]).update(next_attempt_at=Now() + QUEUED_FOR)
    send_deliveries(rows)
    return len(rows)


def _room_in_queue() -> int:
    try:
        return MOST_QUEUED - int(redis_client().llen(QUEUE))
    except RedisError as error:
        logger.warning("Due alerts wait for Redis, which cannot be reached: %s", error)
        return 0


# --- One attempt ------------------------------------------------------------------------------------------
def deliver(delivery_id: UUID | str, attempts: int | None = None) -> Outcome | None:
    """Makes one attempt, if the delivery is due and nobody else is at it; None where it is not.

    With `attempts`, the number of attempts that it must have had; without, its time must have come.
    """
    delivery = _claim(delivery_id, attempts)
    if delivery is None:
        return None
    outcome = _attempt(delivery)
    _finish(delivery, outcome)
    return outcome


def _claim(delivery_id: UUID | str, attempts: int | None) -> AlertDelivery | None:
    is_its_time = Q(next_attempt_at__lte=Now()) if attempts is None else Q(attempts=attempts)
    claimed = AlertDelivery.objects.filter(is_its_time, pk=delivery_id, status=Status.PENDING).update(
        status=Status.SENDING, attempts=F("attempts") + 1, next_attempt_at=Now() + _lease()
    )
    if not claimed:
        return None
    return AlertDelivery.objects.select_related("event", "channel").get(pk=delivery_id)


def _lease() -> timedelta:
    """Longer than a sender that lives can take: SMTP asks several times, each with the time limit."""
    return timedelta(seconds=max(LEAST_LEASE_SECONDS, 10 * settings.ALERT_TIMEOUT_SECONDS))


def _attempt(delivery: AlertDelivery) -> Outcome:
    channel = delivery.channel
    if channel is None or not channel.enabled:
        return Outcome(False, f"The channel was {'switched off' if channel else 'deleted'}.", permanent=True)
    return tell(channel, notice_of(delivery.event, delivery.pk, delivery.turn))


def tell(channel: AlertChannel, notice: Notice) -> Outcome:
    """Asks the far side once; whatever goes wrong is an outcome, not an exception. Makes no query."""
    start = time.perf_counter()
    outcome = _asked(channel, notice)
    elapsed_ms = round((time.perf_counter() - start) * 1000, 1)
    return replace(outcome, answer=_kept(outcome.answer, channel.target), elapsed_ms=elapsed_ms)


def _kept(answer: str, target: str) -> str:
    """What is kept of an answer: PostgreSQL takes no NUL, and what lets one write to a URL is not for its readers."""
    url = urlsplit(target)
    for secret in (url.query, url.path):
        if url.scheme and len(secret) > 1:
            answer = answer.replace(secret, "…")
    return answer.replace("\0", "\ufffd")


def _asked(channel: AlertChannel, notice: Notice) -> Outcome:
    try:
        return Outcome(True, notifier_of(channel.kind).send(channel.target, channel.secret, notice))
    except NotDeliveredError as error:
        return Outcome(False, error.sentence, error.permanent, error.retry_after_seconds)
    except TargetError as error:
        return Outcome(False, error.sentence, permanent=True)
    except Exception as error:
        logger.exception("delivery %s by %s failed in a way that nobody thought of", notice.delivery_id, channel.kind)
        return Outcome(False, f"{type(error).__name__}: {error}")


@transaction.atomic
def _finish(delivery: AlertDelivery, outcome: Outcome) -> None:
    _keep_attempt(delivery, delivery.attempts, outcome)
    changes = {"last_answer": outcome.answer}
    if delivery.channel:
        changes["target"] = delivery.channel.target  # it may have been mended since the delivery was made
    if outcome.delivered:
        # Whoever has it now: it has arrived.
        arrived = AlertDelivery.objects.filter(pk=delivery.pk).exclude(status=Status.DELIVERED)
        arrived.update(status=Status.DELIVERED, delivered_at=Now(), **changes)
        count_alert_attempt(delivery.kind, "delivered")
        return
    mine = AlertDelivery.objects.filter(pk=delivery.pk, status=Status.SENDING, attempts=delivery.attempts)
    if outcome.permanent or is_last(delivery.attempts):
        mine.update(status=Status.DEAD, **changes)
        count_alert_attempt(delivery.kind, "dead")
        logger.warning("delivery %s to %s is dead: %s", delivery.pk, delivery.target, outcome.answer)
    else:
        wait = timedelta(seconds=wait_seconds(delivery.attempts, outcome.retry_after_seconds))
        mine.update(status=Status.PENDING, next_attempt_at=Now() + wait, **changes)
        count_alert_attempt(delivery.kind, "failed")


def _keep_attempt(delivery: AlertDelivery, number: int, outcome: Outcome) -> None:
    DeliveryAttempt.objects.create(
        delivery=delivery,
        number=number,
        delivered=outcome.delivered,
        answer=outcome.answer,
        elapsed_ms=outcome.elapsed_ms,
    )


def is_last(attempts: int) -> bool:
    """A delivery that is sent again by hand gets as many attempts anew; the count goes on."""
    return attempts % settings.ALERT_MAX_ATTEMPTS == 0


def wait_seconds(attempts: int, retry_after_seconds: float = 0.0) -> float:
    """Before the next attempt: 0 to 1 s, 2 s, 4 s ... 60 s, so that many that failed together do not come back so."""
    in_this_round = (attempts - 1) % settings.ALERT_MAX_ATTEMPTS
    most = min(FIRST_WAIT_SECONDS * 2.0 ** min(in_this_round, 30), LONGEST_WAIT_SECONDS)
    return max(random.uniform(0.0, most), retry_after_seconds)  # noqa: S311 - no secret


# --- What was given up, or left lying ---------------------------------------------------------------------
def release_lost() -> int:
    """Gives back what a sender had when it died; returns how many deliveries that was."""
    lost = AlertDelivery.objects.filter(status=Status.SENDING, next_attempt_at__lte=Now())
    return sum(_release(delivery) for delivery in lost[:MOST_QUEUED])


@transaction.atomic
def _release(delivery: AlertDelivery) -> bool:
    state = Status.DEAD if is_last(delivery.attempts) else Status.PENDING
    still_lost = AlertDelivery.objects.filter(
        pk=delivery.pk, status=Status.SENDING, attempts=delivery.attempts, next_attempt_at__lte=Now()
    )
    if not still_lost.update(status=state, next_attempt_at=Now(), last_answer=_SENDER_LOST):
        return False
    _keep_attempt(delivery, delivery.attempts, Outcome(False, _SENDER_LOST))
    return True


def resend(delivery: AlertDelivery) -> AlertDelivery:
    """Makes a dead delivery due again, under the same id. Raises NotDeadError, ChannelGoneError."""
    if delivery.channel_id is None:
        raise ChannelGoneError(
            f"The channel of delivery {delivery.pk} was deleted.", "Make a channel anew; open alerts are repeated."
        )
    dead = AlertDelivery.objects.filter(pk=delivery.pk, status=Status.DEAD)
    if not dead.update(status=Status.PENDING, next_attempt_at=Now()):
        delivery.refresh_from_db()
        raise NotDeadError(
            f"Delivery {delivery.pk} is {delivery.status}, not dead.", "Only dead deliveries can be sent again."
        )
    delivery.refresh_from_db()
    return delivery

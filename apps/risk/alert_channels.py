"""Who is told of a portfolio's risk events."""

import secrets
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from apps.portfolios.models import Portfolio
from apps.risk.errors_alerts import ChannelNotFoundError, SecretError
from apps.risk.models import AlertChannel, AlertDelivery
from apps.risk.notifications import notifier_of

LEAST_SECRET_CHARACTERS = 16


def add_channel(
    portfolio: Portfolio, kind: str, target: str, user: Any, secret: str = "", **fields: Any
) -> AlertChannel:
    """Makes a channel; what signs messages gets a secret where none is given. Raises TargetError, SecretError."""
    check_channel(kind, target, secret)
    return AlertChannel.objects.create(
        portfolio=portfolio,
        kind=kind,
        target=target,
        secret=secret or new_secret(kind),
        created_by=user,
        **fields,
    )


def change_channel(channel: AlertChannel, changes: dict[str, Any]) -> AlertChannel:
    """Sets any of target, secret, min_severity, escalate_after_minutes and enabled; raises as add_channel does."""
    if "target" in changes or "secret" in changes:
        check_channel(channel.kind, changes.get("target", channel.target), changes.get("secret", ""))
    AlertChannel.objects.filter(pk=channel.pk).update(**changes)
    channel.refresh_from_db()
    return channel


def check_channel(kind: str, target: str, secret: str = "") -> None:
    notifier = notifier_of(kind)
    if secret and not notifier.takes_secret:
        raise SecretError(f"Messages by {kind} are not signed.", "Leave the secret out.", "secret")
    if secret and len(secret) < LEAST_SECRET_CHARACTERS:
        raise SecretError(
            f"The secret has {len(secret)} characters.",
            f"Expected {LEAST_SECRET_CHARACTERS} or more, or none: then one is made.",
            "secret",
        )
    notifier.check_target(target)


def new_secret(kind: str) -> str:
    return secrets.token_urlsafe(32) if notifier_of(kind).takes_secret else ""


def shown_target(kind: str, target: str) -> str:
    """The target without what would let a reader write to it."""
    return notifier_of(kind).shown(target)


def get_channel(portfolio: Portfolio, channel_id: int) -> AlertChannel:
    channel = AlertChannel.objects.filter(portfolio=portfolio, pk=channel_id).first()
    if channel is None:
        raise ChannelNotFoundError(channel_id, portfolio.pk)
    return channel


def last_deliveries(channels: QuerySet[AlertChannel]) -> dict[int, AlertDelivery]:
    """The newest delivery of each of these channels that had any, by the channel's id."""
    last = AlertDelivery.objects.filter(channel=OuterRef("pk")).order_by("-created_at").values("pk")[:1]
    ids = channels.order_by().values_list(Subquery(last), flat=True)
    return {
        delivery.channel_id: delivery for delivery in AlertDelivery.objects.filter(pk__in=ids) if delivery.channel_id
    }

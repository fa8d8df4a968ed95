"""Events, channels and deliveries for tests, and a clock that is moved in the database."""

from datetime import timedelta
from typing import Any

from django.db.models import F
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_portfolio
from apps.risk.deliveries import deliver
from apps.risk.models import AlertChannel, AlertDelivery, RiskEvent

HOOK = "https://93.184.216.34/hook"
SECRET = "sixteen-and-more"


def a_portfolio(portfolio_id: str = "BOOK") -> Portfolio:
    return Portfolio.objects.filter(pk=portfolio_id).first() or make_portfolio(portfolio_id)


def a_breach(portfolio: Portfolio | None, **fields: Any) -> RiskEvent:
    """As the monitor makes it, not yet stored."""
    given = {"event_type": RiskEvent.Type.LIMIT_BREACH, "severity": "critical", "kind": "var_99", **fields}
    given.setdefault("message", "var_99 is 61234.50, above its limit of 50000.00")
    return RiskEvent(portfolio=portfolio, **{"value": 61234.5, "threshold": 50000.0, **given})


def make_channel(portfolio: Portfolio | None = None, target: str = HOOK, **fields: Any) -> AlertChannel:
    given = {"kind": "webhook", "secret": SECRET, **fields}
    return AlertChannel.objects.create(portfolio=portfolio or a_portfolio(), target=target, **given)


def make_delivery(target: str = HOOK, channel: AlertChannel | None = None, **fields: Any) -> AlertDelivery:
    """Of a breach, due now."""
    channel = channel or make_channel(target=target)
    event = a_breach(channel.portfolio)
    event.save()
    given = {"event": event, "channel": channel, "kind": channel.kind, "target": channel.target}
    return AlertDelivery.objects.create(**{**given, **fields})


def let_pass(rows: Any, field: str, **time: float) -> None:
    """Moves a time of these rows back, as if that much of it had passed since."""
    rows.update(**{field: F(field) - timedelta(**time)})


def deliver_all() -> None:
    """What the workers do until nothing waits: every delivery that is pending, as if its time had come."""
    while pending := list(AlertDelivery.objects.filter(status="pending").values_list("pk", "attempts")):
        for pk, attempts in pending:
            deliver(pk, attempts)


def redis_away() -> Redis:
    """A client whose server is not there."""
    return Redis(port=9, retry=Retry(NoBackoff(), 0))

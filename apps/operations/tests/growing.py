"""Rows of the tables that grow, some days old."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.analytics.models import AnalyticsMetric
from apps.portfolios.models import Portfolio, Snapshot
from apps.realtime.models import WebsocketMetric
from apps.risk.models import AlertChannel, AlertDelivery, RiskEvent, RiskMetric
from apps.tasks.models import Task


def days_ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def portfolio() -> Portfolio:
    fields = {"name": "old", "initial_cash": 1, "cash": 1, "inception_date": "2020-01-01"}
    return Portfolio.objects.get_or_create(id="OLD_BOOK", defaults=fields)[0]


def snapshot() -> Snapshot:
    return Snapshot.objects.get_or_create(id="5" * 64, defaults={"portfolio": portfolio(), "inputs": {}, "result": {}})[
        0
    ]


def minute(days: float) -> WebsocketMetric:
    counters = dict.fromkeys(("accepted", "rejected", "messages_sent", "bytes_sent", "dropped", "slow_consumers"), 1)
    gauges = dict.fromkeys(("active", "queue_depth", "messages_per_second", "topics"), 1)
    return WebsocketMetric.objects.create(timestamp=days_ago(days), process="a:1", hub="h", **counters, **gauges)


def task(days: float, **fields: Any) -> Task:
    moment = days_ago(days)
    ended = {"status": Task.Status.SUCCEEDED, "finished_at": moment, "created_at": moment}
    return Task.objects.create(**{"kind": "risk.analyze", "coalesce_key": f"{days}", **ended, **fields})


def event(days: float, **fields: Any) -> RiskEvent:
    moment = days_ago(days)
    said = {
        "event_type": RiskEvent.Type.LIMIT_BREACH,
        "severity": "critical",
        "message": "over",
        "published_at": moment,
    }
    return RiskEvent.objects.create(portfolio=portfolio(), timestamp=moment, **{"closed_at": moment, **said, **fields})


def delivery(days: float, of: RiskEvent, status: str = "delivered") -> AlertDelivery:
    channel = AlertChannel.objects.get_or_create(portfolio=portfolio(), kind="email", target="desk@example.org")[0]
    return AlertDelivery.objects.create(
        event=of, channel=channel, kind="email", target=channel.target, status=status, created_at=days_ago(days)
    )


def performance(days: float, of: Task | None = None) -> AnalyticsMetric:
    span = {"start_date": "2020-01-01", "end_date": "2020-02-01"}
    return AnalyticsMetric.objects.create(
        portfolio=portfolio(), task=of, snapshot=snapshot(), timestamp=days_ago(days), result={"sharpe": 1.5}, **span
    )


def figure(days: float, of: Task | None = None) -> RiskMetric:
    values = {"method": "historical", "confidence": 0.99, "horizon_days": 1, "observations": 500, "currency": "USD"}
    values |= {"portfolio_value": 1.0, "var": 1.0, "expected_shortfall": 1.0, "as_of": "2020-01-01"}
    return RiskMetric.objects.create(
        portfolio=portfolio(), task=of, snapshot=snapshot(), timestamp=days_ago(days), **values
    )

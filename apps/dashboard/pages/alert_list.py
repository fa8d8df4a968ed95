"""What happened to the portfolios that one may see, and whether those who are to be told of it were."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from apps.dashboard.pages.listing import Listed, filtered, paged, portfolio_choice
from apps.portfolios.access import visible_portfolios
from apps.risk.api.alerts import AlertFilter
from apps.risk.models import AlertDelivery, RiskEvent, Severity
from apps.risk.serializers.alerts import target_for
from nautilus.api.access import has_role, sees_every_portfolio

ROWS = 50
_FILTERS = ("portfolio_id", "severity", "event_type", "open", "acknowledged")


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    delivery: AlertDelivery
    target: str
    may_be_sent_again: bool


@dataclass(frozen=True, slots=True)
class AlertRow:
    """`summary`: how many messages stand how, "2 delivered, 1 dead"; `waits`: for somebody to acknowledge it."""

    event: RiskEvent
    title: str
    waits: bool
    summary: str
    deliveries: list[DeliveryRow]


def shown_alerts(request: HttpRequest) -> dict[str, Any]:
    listed: Listed = paged(request, _chosen(request), ROWS)
    alerts = [_row(event, request.user) for event in listed.rows]
    return {
        "alerts": alerts,
        "listed": listed,
        "waiting": sum(alert.waits for alert in alerts),
        "severities": Severity.values,
        "event_types": [(value, _title(label)) for value, label in RiskEvent.Type.choices],
        "is_filtered": any(request.GET.get(name) for name in _FILTERS),
    }


def _chosen(request: HttpRequest) -> QuerySet[RiskEvent]:
    raised = RiskEvent.objects.filter(Q(portfolio__in=visible_portfolios(request.user)) | Q(portfolio=None))
    events: QuerySet[RiskEvent] = filtered(AlertFilter(request.GET, raised, request=request))
    if portfolio_id := portfolio_choice(request):
        events = events.filter(portfolio=portfolio_id)
    return events.select_related("acknowledged_by").prefetch_related("deliveries").order_by("-timestamp", "-id")


def _row(event: RiskEvent, user: Any) -> AlertRow:
    deliveries = [_delivery(each, user) for each in event.deliveries.all()] if _may_read_deliveries(event, user) else []
    counts = Counter(each.delivery.status for each in deliveries)
    return AlertRow(
        event,
        _title(event.get_event_type_display()),
        event.acknowledged_at is None and event.severity != Severity.INFO,
        ", ".join(f"{count} {status}" for status, count in sorted(counts.items())),
        deliveries,
    )


def _may_read_deliveries(event: RiskEvent, user: Any) -> bool:
    """What is about all portfolios is told to the channels of every desk, which are not for all desks to read."""
    return event.portfolio_id is not None or sees_every_portfolio(user)


def _delivery(delivery: AlertDelivery, user: Any) -> DeliveryRow:
    is_dead = delivery.status == AlertDelivery.Status.DEAD and delivery.channel_id is not None
    return DeliveryRow(delivery, target_for(user, delivery), is_dead and has_role(user, "risk_manager"))


def _title(label: Any) -> str:
    return str(label).capitalize()

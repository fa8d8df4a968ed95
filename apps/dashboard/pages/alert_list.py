"""What happened to the portfolios that one may see, and whether those who are to be told of it were."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import HttpRequest

from apps.dashboard.pages.listing import Listed, filtered, paged, portfolio_choice
from apps.portfolios.access import visible_portfolios
from apps.risk.api.alerts import AlertFilter
from apps.risk.models import AlertDelivery, RiskEvent, Severity
from apps.risk.serializers.alerts import target_for
from nautilus.api.access import has_role, sees_every_portfolio

ROWS = 50
DELIVERIES = 20  # of an alert: one that goes on for a month is told of seven hundred times on each channel
_FILTERS = ("portfolio_id", "severity", "event_type", "open", "acknowledged")


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    delivery: AlertDelivery
    target: str
    may_be_sent_again: bool


@dataclass(frozen=True, slots=True)
class AlertRow:
    """`summary`: how its messages stand, "2 delivered, 1 dead"; `deliveries` are the newest, `older` are left out.

    `waits`: for somebody to acknowledge it.
    """

    event: RiskEvent
    title: str
    waits: bool
    messages: int
    summary: str
    deliveries: list[DeliveryRow]

    @property
    def older(self) -> int:
        return self.messages - len(self.deliveries)


def shown_alerts(request: HttpRequest) -> dict[str, Any]:
    listed: Listed = paged(request, _chosen(request), ROWS)
    counts = _messages(listed.rows)
    alerts = [_row(event, request.user, counts[event.pk]) for event in listed.rows]
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
    newest = Prefetch("deliveries", AlertDelivery.objects.order_by("-created_at", "id")[:DELIVERIES], to_attr="told")
    return events.select_related("acknowledged_by").prefetch_related(newest).order_by("-timestamp", "-id")


def _messages(events: list[Any]) -> dict[int, Counter[str]]:
    """By event, how many of its messages stand how."""
    found: dict[int, Counter[str]] = defaultdict(Counter)
    rows = AlertDelivery.objects.filter(event__in=events).order_by().values_list("event", "status")
    for event_id, status, count in rows.annotate(count=Count("pk")):
        found[event_id][status] = count
    return found


def _row(event: Any, user: Any, messages: Counter[str]) -> AlertRow:
    is_read = _may_read_deliveries(event, user)
    counts = messages if is_read else Counter[str]()
    return AlertRow(
        event,
        _title(event.get_event_type_display()),
        event.acknowledged_at is None and event.severity != Severity.INFO,
        counts.total(),
        ", ".join(f"{count} {status}" for status, count in sorted(counts.items())),
        [_delivery(each, user) for each in event.told] if is_read else [],
    )


def _may_read_deliveries(event: RiskEvent, user: Any) -> bool:
    """What is about all portfolios is told to the channels of every desk, which are not for all desks to read."""
    return event.portfolio_id is not None or sees_every_portfolio(user)


def _delivery(delivery: AlertDelivery, user: Any) -> DeliveryRow:
    is_dead = delivery.status == AlertDelivery.Status.DEAD and delivery.channel_id is not None
    return DeliveryRow(delivery, target_for(user, delivery), is_dead and has_role(user, "risk_manager"))


def _title(label: Any) -> str:
    return str(label).capitalize()

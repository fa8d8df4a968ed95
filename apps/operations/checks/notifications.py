"""Alerts on their way out: those that fail, those that wait, and breaches that nobody was told of."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from apps.operations.checks.registry import register_check
from apps.operations.findings import Finding, Health, Status
from apps.operations.naming import NamingFinding
from apps.operations.stores import words_of
from apps.risk.models import AlertChannel, AlertDelivery, RiskEvent, Severity

LATELY = timedelta(hours=1)
# How long an alert may wait for its first attempt, and a breach for its first delivery.
PATIENCE = timedelta(minutes=1)

RESTART = "scripts/restart-service.sh alert-sender"
SHOW = "curl 'http://localhost:8001/api/v1/sprint3/risk/alerts/deliveries?status=dead'"
_State = AlertDelivery.Status


@register_check("notifications")
def check_notifications() -> Health:
    lately = AlertDelivery.objects.filter(created_at__gte=Now() - LATELY)
    counts = dict(lately.order_by().values_list("status").annotate(Count("pk")))
    told = ", ".join(f"{counts.get(state, 0)} {state}" for state in _State.values)
    findings = [*_failing(), *_waiting(), *_untold()]
    return Health(f"deliveries of the last hour: {told}", tuple(findings))


def _failing() -> list[Finding]:
    """By kind of channel: what failed within the last hour and has not arrived since."""
    tried = _tried()
    by_kind = (
        tried.order_by()
        .values("kind")
        .annotate(failed=Count("pk"), dead=Count("pk", filter=Q(status=_State.DEAD)), begun=Min("created_at"))
    )
    return [_fails(dict(row), tried.filter(kind=row["kind"])) for row in by_kind]


def _tried() -> QuerySet[AlertDelivery]:
    """Failed at least once, and open or given up; of channels that are there and on."""
    lately = AlertDelivery.objects.filter(next_attempt_at__gte=Now() - LATELY, attempts__gt=0)
    again = Q(status=_State.PENDING) | Q(status=_State.DEAD) | Q(status=_State.SENDING, attempts__gt=1)
    return lately.filter(again, channel__enabled=True)


def _fails(row: dict[str, Any], of_kind: QuerySet[AlertDelivery]) -> Finding:
    """Unhealthy where nothing of this kind has gone out since the first of them was made: the way out is blocked."""
    kind, dead = row["kind"], row["dead"]
    newest = of_kind.order_by(F("next_attempt_at").desc()).first()
    said = words_of(ValueError(newest.last_answer if newest else ""))
    arrived = AlertDelivery.objects.filter(kind=kind).aggregate(last=Max("delivered_at"))["last"]
    is_way = arrived is None or arrived < row["begun"]
    cause = f"{row['failed']} fail, {dead} of them given up"
    return NamingFinding(
        Status.UNHEALTHY if is_way else Status.DEGRADED,
        f"Alerts by {kind} do not arrive",
        f"{cause}; the far side says: {said}",
        SHOW if dead else "scripts/manage.sh doctor --only notifications",
        "alerts-not-delivered",
        cause_for_all=f"{cause}.",
    )


def _waiting() -> list[Finding]:
    """No sender takes them."""
    untried = AlertDelivery.objects.filter(status=_State.PENDING, attempts=0, channel__enabled=True)
    waiting = untried.filter(created_at__lt=Now() - PATIENCE).count()
    if not waiting:
        return []
    cause = f"{waiting} deliveries have waited for longer than {PATIENCE.seconds} s and were not tried."
    return [Finding(Status.UNHEALTHY, "Alerts are not sent", cause, RESTART, "alerts-not-delivered")]


def _untold() -> list[Finding]:
    """Open breaches that a channel should have been told of, and no delivery was made."""
    untold = _breaches_without_delivery().filter(_is_taken_by_a_channel()).count()
    if not untold:
        return []
    cause = f"Of {untold} open breaches no delivery was made, though a channel of their portfolio takes them."
    return [Finding(Status.UNHEALTHY, "Nobody was told of a breach", cause, RESTART, "alerts-not-delivered")]


def _breaches_without_delivery() -> QuerySet[RiskEvent]:
    told = AlertDelivery.objects.filter(event=OuterRef("pk"))
    breaches = RiskEvent.objects.filter(event_type=RiskEvent.Type.LIMIT_BREACH, closed_at=None, acknowledged_at=None)
    return breaches.filter(~Exists(told), timestamp__lt=Now() - PATIENCE)


def _is_taken_by_a_channel() -> Q:
    """One that was there when the breach began and is told of it at once (apps/risk/sql/alert_first.sql)."""
    of_portfolio = AlertChannel.objects.filter(
        portfolio=OuterRef("portfolio"), enabled=True, escalate_after_minutes=0, created_at__lt=OuterRef("timestamp")
    )
    severities = Severity.values  # from the least on
    taken = Q()
    for number, severity in enumerate(severities):
        taken |= Q(Exists(of_portfolio.filter(min_severity__in=severities[: number + 1])), severity=severity)
    return taken

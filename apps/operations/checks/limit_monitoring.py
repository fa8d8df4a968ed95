"""Limits: whether their states are known, and whether every book with positions has one."""

import json
from datetime import timedelta
from shlex import quote

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from apps.operations.checks.registry import register_check
from apps.operations.checks.risk_monitoring import START, read_freshness
from apps.operations.findings import Finding, Health, Status
from apps.operations.naming import NamingFinding, named
from apps.portfolios.models import Portfolio, Position
from apps.risk.models import RiskLimit
from apps.risk.monitoring import Freshness, count_limits, in_force

# A limit that was made just now is unknown until the monitor has come round.
NEW_LIMIT = timedelta(seconds=60)
SHOW = "scripts/manage.sh doctor --only limit_monitoring"


@register_check("limit_monitoring")
def check_limit_monitoring() -> Health:
    counts = count_limits(Portfolio.objects.all())
    freshness = read_freshness()
    told = ", ".join(f"{counts[status]} {status}" for status in RiskLimit.Status.values)
    found = (_of_evaluation(freshness, counts["total"]), _of_unknown(), _of_unlimited())
    return Health(f"{counts['total']} limits in force: {told}", tuple(finding for finding in found if finding))


def _of_evaluation(freshness: Freshness | None, total: int) -> Finding | None:
    if freshness is None or freshness.running or not total:
        return None
    enabled = freshness.monitor.enabled
    cause = f"The limits are {freshness.stale_reason or 'not evaluated: the monitor does not run'}."
    remedy = "scripts/restart-service.sh maintenance-worker" if enabled else START
    return Finding(Status.UNHEALTHY, "A breach would not be seen", cause, remedy, "risk-breaches-not-detected")


def _of_unknown() -> Finding | None:
    unknown = RiskLimit.objects.filter(
        in_force(Now()), status=RiskLimit.Status.UNKNOWN, created_at__lt=Now() - NEW_LIMIT
    ).count()
    if not unknown:
        return None
    cause = f"{unknown} limits cannot be computed: status_reason of GET /api/v1/sprint3/risk/limits says why of each."
    return Finding(Status.DEGRADED, "A breach may go unseen", cause, SHOW, "risk-breaches-not-detected")


def _of_unlimited() -> Finding | None:
    held = Exists(Position.objects.filter(portfolio=OuterRef("pk")))
    limited = Exists(RiskLimit.objects.filter(in_force(Now()), portfolio=OuterRef("pk")))
    found = Portfolio.objects.filter(held, ~limited, closed_at=None).order_by("pk")
    unlimited = list(found.values_list("pk", flat=True))
    if not unlimited:
        return None
    cause = f"{len(unlimited)} portfolios hold positions and have no limit in force: no threshold, no breach."
    return NamingFinding(
        Status.DEGRADED,
        "Portfolios are without limits",
        f"{cause} They are {named(unlimited)}.",
        _set_limit(unlimited[0]),
        "risk-breaches-not-detected",
        cause_for_all=cause,
        remedy_for_all=SHOW,
    )


def _set_limit(portfolio: str) -> str:
    """It warns and blocks no trade: what the desk is held to is for the desk to say."""
    limit = {"portfolio_id": portfolio, "kind": "leverage", "threshold_value": 4, "action": "warn"}
    address = "http://localhost:8001/api/v1/sprint3/risk/limits"
    return f"curl -X POST {address} -H 'Content-Type: application/json' -d {quote(json.dumps(limit))}"

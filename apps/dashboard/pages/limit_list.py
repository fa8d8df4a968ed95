"""The limits that one may see, each with what may be said of it now, and the changes that wait for a second person."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Case, F, QuerySet, Value, When
from django.db.models.functions import Greatest
from django.http import HttpRequest

from apps.dashboard.pages.limit_words import Difference, differences_of, title_of
from apps.dashboard.pages.listing import Listed, choice, filtered, headings, order, paged
from apps.dashboard.pages.overview import WORST_FIRST
from apps.portfolios.access import visible_portfolios
from apps.risk.api.limits import LimitFilter
from apps.risk.limit_kinds import LIMIT_KINDS
from apps.risk.limit_terms import from_json, terms_of
from apps.risk.limits import ShownStatus, limits_as_shown, shown_as, shown_status, utilization
from apps.risk.models import LimitChange, RiskLimit
from apps.risk.monitoring import Freshness, monitor_freshness

ROWS = 50
_COLUMNS: dict[str, Any] = {
    "status": Case(*(When(status=status, then=Value(place)) for place, status in enumerate(WORST_FIRST))),
    "portfolio_id": F("portfolio_id"),
    "kind": F("kind"),
    # A threshold may be as small as it likes; what it divides must stay a number.
    "used": F("current_value") / Greatest(F("threshold_value"), Value(1e-200)),
    "since": F("status_since"),
}
_TITLES = {"portfolio_id": "Portfolio", "kind": "Limit", "-used": "Used", "status": "Status", "-since": "Since"}
ORDERINGS = [*_COLUMNS, *(f"-{name}" for name in _COLUMNS)]


@dataclass(frozen=True, slots=True)
class LimitRow:
    """`is_old`: the figure is not what the limit stands at now, or nobody knows."""

    limit: RiskLimit
    title: str
    unit: str
    currency: str
    used: float | None
    shown: ShownStatus
    is_old: bool
    waiting: LimitChange | None


@dataclass(frozen=True, slots=True)
class WaitingChange:
    change: LimitChange
    title: str
    differences: list[Difference]
    is_own: bool


def shown_limits(request: HttpRequest) -> dict[str, Any]:
    freshness = monitor_freshness()
    ordering = choice(request, "ordering", ORDERINGS) or "status"
    chosen = _chosen(request, freshness).order_by(order(ordering, _COLUMNS), order("-used", _COLUMNS), "id")
    listed: Listed = paged(request, chosen, ROWS)
    return {
        "limits": [_row(limit, freshness) for limit in listed.rows],
        "listed": listed,
        "headings": headings(request, _TITLES, ordering),
        "monitor": freshness,
        "kinds": RiskLimit.Kind.choices,
        "statuses": WORST_FIRST,
        "is_filtered": any(request.GET.get(name) for name in ("portfolio_id", "kind", "status", "active")),
        "four_eyes": settings.LIMIT_FOUR_EYES,
    }


def _chosen(request: HttpRequest, freshness: Freshness) -> QuerySet[RiskLimit]:
    """By the status that is shown, which is not always the one that the monitor saw last."""
    status = choice(request, "status", list(WORST_FIRST))
    others = {name: value for name, value in request.GET.items() if name != "status"}
    visible = limits_as_shown().filter(portfolio__in=_open_portfolios(request.user)).select_related("portfolio")
    limits: QuerySet[RiskLimit] = filtered(LimitFilter(others, visible, request=request))
    return limits.filter(shown_as(status, freshness)) if status else limits


def _open_portfolios(user: Any) -> QuerySet[Any]:
    return visible_portfolios(user).filter(closed_at=None)


def _row(limit: Any, freshness: Freshness) -> LimitRow:
    shown = shown_status(limit, freshness)
    unit = LIMIT_KINDS[limit.kind].unit
    return LimitRow(
        limit,
        title_of(limit.kind),
        unit,
        limit.portfolio.base_currency if unit == "currency" else "",
        utilization(limit),
        shown,
        limit.current_value is not None and shown != ShownStatus(limit.status, limit.status_reason),
        next(iter(limit.pending_changes), None),
    )


def waiting_changes(request: HttpRequest) -> dict[str, Any]:
    """The oldest first: it has waited longest."""
    waiting = LimitChange.objects.filter(
        status=LimitChange.Status.PENDING, limit__portfolio__in=_open_portfolios(request.user)
    )
    rows = waiting.select_related("limit", "requested_by").order_by("requested_at", "id")
    return {"changes": [_waiting(change, request.user) for change in rows]}


def _waiting(change: Any, user: Any) -> WaitingChange:
    limit = change.limit
    now, asked = terms_of(limit), from_json(change.changes)
    changes: Mapping[str, Any] = {name: {"from": getattr(now, name), "to": value} for name, value in asked.items()}
    return WaitingChange(change, title_of(limit.kind), differences_of(changes), change.requested_by_id == user.pk)

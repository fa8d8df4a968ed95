"""What the dialogs of limits show: the form that makes or changes one, and one's history."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from apps.dashboard.pages.limit_words import UNITS, Difference, differences_of, title_of
from apps.portfolios.access import visible_portfolios
from apps.portfolios.models import Instrument
from apps.risk.errors import LimitNotFoundError
from apps.risk.limit_history import history_of
from apps.risk.limit_kinds import LIMIT_KINDS
from apps.risk.limits import limits_as_shown
from apps.risk.models import RiskLimit, Severity
from nautilus.api.access import has_role

MOST_SYMBOLS = 2_000  # a browser takes more, and nobody reads them; any symbol can be typed
_EVENT_TONES = {"created": "good", "changed": "accent", "deleted": "bad"}


@dataclass(frozen=True, slots=True)
class KindChoice:
    name: str
    title: str
    unit: str
    takes_symbol: bool


@dataclass(frozen=True, slots=True)
class PastChange:
    event: str
    tone: str
    at: datetime
    by: str | None
    reason: str | None
    differences: list[Difference]


def limit_form(request: HttpRequest) -> dict[str, Any]:
    """Of the limit that `?limit=` names; of a new one without, on the portfolio that the list is filtered by."""
    if not has_role(request.user, "risk_manager"):
        raise PermissionDenied("To set limits needs the role 'risk_manager', which your user does not have.")
    limit = _limit(request) if request.GET.get("limit") else None
    return {
        "limit": limit,
        "kind": _kind(limit.kind) if limit else None,
        "kinds": [_kind(name) for name in RiskLimit.Kind.values],
        "actions": RiskLimit.Action.choices,
        "severities": Severity.values,
        "symbols": Instrument.objects.order_by("pk").values_list("pk", flat=True)[:MOST_SYMBOLS],
        "chosen_portfolio": request.GET.get("portfolio_id", ""),
        "four_eyes": settings.LIMIT_FOUR_EYES,
    }


def _kind(name: str) -> KindChoice:
    kind = LIMIT_KINDS[name]
    return KindChoice(name, title_of(name), UNITS[kind.unit], kind.takes_symbol)


def _limit(request: HttpRequest) -> RiskLimit:
    limit_id = _limit_id(request)
    limit = limits_as_shown().filter(portfolio__in=visible_portfolios(request.user), pk=limit_id).first()
    if limit is None:
        raise LimitNotFoundError(limit_id)
    return limit


def _limit_id(request: HttpRequest) -> int:
    asked = request.GET.get("limit", "")
    if not (asked.isascii() and asked.isdecimal() and len(asked) < 19):
        raise LimitNotFoundError(asked[:40])
    return int(asked)


def limit_history(request: HttpRequest) -> dict[str, Any]:
    limit_id = _limit_id(request)
    entries = history_of(limit_id, visible_portfolios(request.user))
    return {"limit_id": limit_id, "entries": [_past(entry) for entry in entries]}


def _past(entry: dict[str, Any]) -> PastChange:
    event = entry["event"]
    changes = differences_of(entry["changes"])
    if event == "created":
        changes = [replace(change, before="") for change in changes]
    return PastChange(event, _EVENT_TONES[event], entry["at"], entry["by"], entry["reason"], changes)

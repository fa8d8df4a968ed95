"""How limits read: their kinds, in which unit their thresholds are asked for, and what a change changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.dashboard.templatetags.figures import DASH, quantity
from apps.risk.models import RiskLimit

UNITS = {
    "currency": "in the portfolio's currency",
    "fraction": "as a fraction: 0.25 is 25 %",
    "ratio": "as a ratio: 1.5 is one and a half times the value",
    "quantity": "in pieces",
    "count": "how many",
}
_TERMS = {
    "threshold_value": "Threshold",
    "warning_threshold": "Warning",
    "action": "Action",
    "severity": "Severity",
    "active": "Active",
    "symbol": "Symbol",
    "effective_from": "Effective from",
    "effective_to": "Effective to",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """`before` is empty where there was nothing yet."""

    term: str
    before: str
    after: str


def title_of(kind: str) -> str:
    label = str(RiskLimit.Kind(kind).label)
    return label[0].upper() + label[1:]


def differences_of(changes: Mapping[str, Mapping[str, Any]]) -> list[Difference]:
    """Of `{"threshold_value": {"from": 1.0, "to": 2.0}}`, as limit_history has it."""
    named = ((title, changes[name]) for name, title in _TERMS.items() if name in changes)
    return [Difference(title, _said(each["from"]), _said(each["to"])) for title, each in named]


def _said(value: Any) -> str:
    """In the unit of the term: a fraction stays one, as it was asked for."""
    if value is None or value == "":
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return quantity(value) if isinstance(value, int | float) else str(value)

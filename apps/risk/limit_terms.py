"""What a limit says: its terms, what is refused in them, and which change of them loosens it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from apps.portfolios.errors import UnknownSymbolError
from apps.portfolios.models import LARGEST, Instrument
from apps.portfolios.names import is_symbol
from apps.risk.errors import (
    LimitChoiceError,
    LimitDatesError,
    LimitSymbolError,
    ThresholdError,
    WarningThresholdError,
)
from apps.risk.limit_kinds import LIMIT_KINDS
from apps.risk.models import RiskLimit, Severity
from nautilus.api.errors import DomainError

Action = RiskLimit.Action

WARNING_PART = 0.8  # of the threshold, where nothing is said


@dataclass(frozen=True, slots=True)
class Terms:
    """All of a limit that can be changed. Portfolio and kind cannot: with another it is another limit."""

    threshold_value: float
    warning_threshold: float
    action: str
    severity: str
    active: bool
    symbol: str | None
    effective_from: datetime | None
    effective_to: datetime | None

    def as_columns(self) -> dict[str, Any]:
        columns = asdict(self)
        return {**columns, "instrument_id": columns.pop("symbol")}


TERMS = tuple(field.name for field in fields(Terms))
COLUMNS = tuple("instrument_id" if name == "symbol" else name for name in TERMS)


def terms_of(limit: Any) -> Terms:
    """Of a limit, or of a row of its history."""
    return Terms(*(getattr(limit, column) for column in COLUMNS))


def new_terms(asked: Mapping[str, Any]) -> Terms:
    """With what goes with the threshold and the action where a warning threshold or a severity is left out or None."""
    action = asked.get("action", Action.BLOCK)
    threshold, warning = asked["threshold_value"], asked.get("warning_threshold")
    return Terms(
        threshold_value=threshold,
        warning_threshold=WARNING_PART * threshold if warning is None else warning,
        action=action,
        severity=asked.get("severity") or _usual_severity(action),
        active=asked.get("active", True),
        symbol=asked.get("symbol"),
        effective_from=asked.get("effective_from"),
        effective_to=asked.get("effective_to"),
    )


def changed_terms(terms: Terms, changes: Mapping[str, Any]) -> Terms:
    """A new threshold takes the warning along in proportion, unless that is named too; None stands for the default."""
    values = dict(changes)
    threshold = values.get("threshold_value", terms.threshold_value)
    if "warning_threshold" not in values:
        values["warning_threshold"] = _warning_taken_along(terms, threshold)
    elif values["warning_threshold"] is None:
        values["warning_threshold"] = WARNING_PART * threshold
    if "severity" in values and values["severity"] is None:
        values["severity"] = _usual_severity(values.get("action", terms.action))
    return replace(terms, **values)


def _warning_taken_along(terms: Terms, threshold: float) -> float:
    if threshold == terms.threshold_value:
        return terms.warning_threshold
    return min(threshold, threshold * (terms.warning_threshold / terms.threshold_value))  # min: a product is rounded


def _usual_severity(action: str) -> Severity:
    return Severity.CRITICAL if action == Action.BLOCK else Severity.WARNING


def differences(before: Terms, after: Terms) -> dict[str, Any]:
    """Each term that is another, with its new value."""
    return {name: getattr(after, name) for name in TERMS if getattr(after, name) != getattr(before, name)}


def as_json(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in changes.items()}


def from_json(changes: Mapping[str, Any]) -> dict[str, Any]:
    dates = {name: parse_datetime(changes[name]) for name in ("effective_from", "effective_to") if changes.get(name)}
    return {**changes, **dates}


# --- Four eyes ---------------------------------------------------------------------------------------------------


def loosens(before: Terms, after: Terms) -> bool:
    """Whether something that `before` holds back could pass `after`."""
    return (
        after.threshold_value > before.threshold_value
        or (before.action == Action.BLOCK and after.action != Action.BLOCK)
        or (before.active and not after.active)
        or after.symbol not in (None, before.symbol)
        or _starts_later(before.effective_from, after.effective_from)
        or _ends_earlier(before.effective_to, after.effective_to)
    )


def _starts_later(before: datetime | None, after: datetime | None) -> bool:
    return after is not None and (before is None or after > before)


def _ends_earlier(before: datetime | None, after: datetime | None) -> bool:
    return after is not None and (before is None or after < before)


# --- What is refused ---------------------------------------------------------------------------------------------


def faults_of(kind: str, terms: Terms) -> Iterator[DomainError]:
    yield from _unknown_choices(kind, terms)
    yield from _threshold_faults(terms)
    if kind in LIMIT_KINDS and terms.symbol is not None:
        yield from _symbol_faults(kind, terms.symbol)
    start, end = terms.effective_from, terms.effective_to
    if start is not None and end is not None and start >= end:
        yield LimitDatesError(
            f"effective_to {end.isoformat()} is not after effective_from {start.isoformat()}.",
            "Expected a later moment, or none.",
            "effective_to",
        )


def _unknown_choices(kind: str, terms: Terms) -> Iterator[DomainError]:
    asked = {
        "kind": (kind, list(LIMIT_KINDS)),
        "action": (terms.action, Action.values),
        "severity": (terms.severity, Severity.values),
    }
    for name, (value, known) in asked.items():
        if value not in known:
            yield LimitChoiceError(f"'{str(value)[:40]}' is no {name}.", f"Expected one of {', '.join(known)}.", name)


def _threshold_faults(terms: Terms) -> Iterator[DomainError]:
    threshold, warning = terms.threshold_value, terms.warning_threshold
    if not 0 < threshold <= LARGEST:  # also not a number
        yield ThresholdError(
            f"{threshold} is no threshold.", "Expected a number above zero and at most 1e15.", "threshold_value"
        )
    elif not 0 < warning <= threshold:
        yield WarningThresholdError(
            f"{warning} is no warning threshold of a limit at {threshold}.",
            f"Expected a number above zero and at most {threshold}.",
            "warning_threshold",
        )


def _symbol_faults(kind: str, symbol: str) -> Iterator[DomainError]:
    if not LIMIT_KINDS[kind].takes_symbol:
        of_one = ", ".join(name for name, each in LIMIT_KINDS.items() if each.takes_symbol)
        yield LimitSymbolError(
            f"A limit on {kind} is of the whole portfolio, not of '{symbol[:40]}' alone.",
            f"Leave the symbol out; of one symbol can be: {of_one}.",
            "symbol",
        )
    elif not is_symbol(symbol) or not Instrument.objects.filter(pk=symbol).exists():
        yield UnknownSymbolError(symbol[:40])

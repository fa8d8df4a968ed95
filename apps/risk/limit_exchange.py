"""Limits from and to a file, through the same operations as everywhere: all rows or none (docs/limits.md).

A row with an `id` changes that limit, one without makes one. A column that is left out leaves its term alone, or gives
a new limit the usual one, and so does an empty cell; but an empty `symbol` or date means that there is none.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.timezone import is_naive
from import_export.fields import Field
from import_export.formats.base_formats import CSV, JSON
from import_export.resources import ModelResource
from import_export.results import RowResult
from import_export.widgets import Widget
from tablib import Dataset

from apps.portfolios.errors import PortfolioNotFoundError
from apps.portfolios.names import is_portfolio_id
from apps.risk.errors import LimitNotFoundError
from apps.risk.limit_terms import TERMS
from apps.risk.limits import change_limit, create_limit
from apps.risk.models import RiskLimit
from nautilus.api.errors import DomainError
from nautilus.api.pages import unknown_name

WAITS = "waits for approval"
COLUMNS = ("id", "portfolio_id", "kind", *TERMS)

_NEW, _CHANGED, _SAME = "new", "changed", "as it was"
_EMPTY_MEANS_NONE = ("symbol", "effective_from", "effective_to")
_NEEDED = ("portfolio_id", "kind", "threshold_value")
_YES_NO = {"true": True, "1": True, "false": False, "0": False}


class ObjectsJson(JSON):
    """A list of objects, whatever the order of their fields: tablib goes by their place in the first."""

    def create_dataset(self, in_stream: Any, **kwargs: Any) -> Dataset:
        rows = json.loads(in_stream)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError("expected a list of objects, one for each limit")
        headers = list(rows[0]) if rows else []
        for number, row in enumerate(rows, 1):
            if set(row) != set(headers):
                raise ValueError(f"object {number} has other fields than the first; expected {', '.join(headers)}")
        return Dataset(*([row[name] for name in headers] for row in rows), headers=headers)


FORMATS = [CSV, ObjectsJson]


class SymbolCell(Widget):
    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> str | None:
        return value or None


class NumberCell(Widget):
    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            raise ValueError(f"'{str(value)[:40]}' is not a number; expected e.g. 50000 or 0.25.") from None

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> Any:
        return "" if value is None else value


class YesNoCell(Widget):
    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> bool:
        said = str(value).lower()
        if said not in _YES_NO:
            raise ValueError(f"'{said[:40]}' is neither true nor false.")
        return _YES_NO[said]

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> str:
        return str(value).lower()


class MomentCell(Widget):
    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> datetime | None:
        if not value:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise ValueError(f"'{str(value)[:40]}' is no moment; expected e.g. 2024-07-01T00:00:00Z.") from None
        if is_naive(moment):
            raise ValueError(f"'{value}' has no time zone; expected e.g. 2024-07-01T00:00:00Z.")
        return moment

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> str:
        return "" if value is None else value.isoformat().replace("+00:00", "Z")


class LimitResource(ModelResource):
    portfolio_id = Field("portfolio_id", "portfolio_id")
    symbol = Field("instrument_id", "symbol", SymbolCell())
    threshold_value = Field("threshold_value", "threshold_value", NumberCell())
    warning_threshold = Field("warning_threshold", "warning_threshold", NumberCell())
    active = Field("active", "active", YesNoCell())
    effective_from = Field("effective_from", "effective_from", MomentCell())
    effective_to = Field("effective_to", "effective_to", MomentCell())

    class Meta:
        model = RiskLimit
        name = "limits"
        fields = import_order = export_order = COLUMNS
        store_instance = True

    def get_diff_headers(self) -> list[str]:
        return [*super().get_diff_headers(), "outcome"]

    def import_row(self, row: Mapping[str, Any], instance_loader: Any, **kwargs: Any) -> RowResult:
        """The cells that say something."""
        cells = {name: cell.strip() if isinstance(cell, str) else cell for name, cell in row.items()}
        said = {name: cell for name, cell in cells.items() if cell not in ("", None) or name in _EMPTY_MEANS_NONE}
        return super().import_row(said, instance_loader, **kwargs)

    def before_import_row(self, row: Mapping[str, Any], **kwargs: Any) -> None:
        known = {*COLUMNS, "reason"}
        faults = {name: str(unknown_name(str(name), known, "column")) for name in row if name not in known}
        faults |= {name: "A NUL character is no text." for name, cell in row.items() if "\0" in str(cell)}
        if "id" not in row:
            faults |= {name: "is needed for a new limit." for name in _NEEDED if name not in row}
        if faults:
            raise ValidationError(faults)

    def get_instance(self, instance_loader: Any, row: Mapping[str, Any]) -> RiskLimit | None:
        """The limit of a row with an id; one that is not there is a mistake, and no new limit."""
        if "id" not in row:
            return None
        named = str(row["id"])
        limit = RiskLimit.objects.filter(pk=named).first() if named.isdecimal() and len(named) < 19 else None
        if limit is None:
            raise ValidationError({"id": LimitNotFoundError(named[:40]).sentence})
        _refuse_other_limit(limit, row)
        return limit

    def save_instance(self, instance: Any, is_create: bool, row: Mapping[str, Any], **kwargs: Any) -> None:
        asked = {name: self.fields[name].get_value(instance) for name in TERMS if name in row}
        reason = row.get("reason") or f"from {kwargs.get('file_name') or 'a file'}"
        try:
            write = _create if is_create else _change
            limit, outcome = write(instance, asked, user=kwargs.get("user"), reason=str(reason))
        except DomainError as error:
            raise _as_validation_error(error) from error
        instance.__dict__.update(limit.__dict__)
        instance.outcome = outcome

    def after_import_row(self, row: Mapping[str, Any], row_result: Any, **kwargs: Any) -> None:
        outcome = row_result.instance.outcome
        row_result.diff = [*row_result.diff, outcome]
        if outcome == _SAME:
            row_result.import_type = RowResult.IMPORT_TYPE_SKIP


def _refuse_other_limit(limit: RiskLimit, row: Mapping[str, Any]) -> None:
    for name in ("portfolio_id", "kind"):
        its_own = getattr(limit, name)
        if row.get(name, its_own) != its_own:
            raise ValidationError(
                {name: f"Limit {limit.pk} is {its_own}'s and stays it; leave the id out for another."}
            )


def _create(row: RiskLimit, asked: Mapping[str, Any], **signed: Any) -> tuple[RiskLimit, str]:
    if not is_portfolio_id(row.portfolio_id):
        raise PortfolioNotFoundError(row.portfolio_id[:40])
    return create_limit(row.portfolio_id, row.kind, asked, **signed), _NEW


def _change(row: RiskLimit, asked: Mapping[str, Any], **signed: Any) -> tuple[RiskLimit, str]:
    limit, waiting = change_limit(row.pk, asked, **signed)
    if waiting:
        return limit, f"{WAITS}: change {waiting.pk}"
    return limit, _SAME if limit.updated_at == row.updated_at else _CHANGED


def _as_validation_error(error: DomainError) -> ValidationError:
    """Its faults by column, as the report of an import shows them."""
    faults: dict[str, list[str]] = {}
    for each in getattr(error, "errors", [error]):
        faults.setdefault(each.attr or NON_FIELD_ERRORS, []).append(each.sentence)
    return ValidationError(faults)

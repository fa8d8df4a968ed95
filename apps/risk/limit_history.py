"""Who changed a limit, when, why, and what from what to what; also of one that is deleted."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from django.db.models import QuerySet

from apps.portfolios.models import Portfolio
from apps.risk.errors import LimitNotFoundError
from apps.risk.limit_terms import TERMS, differences, terms_of
from apps.risk.models import RiskLimit

_EVENTS = {"+": "created", "~": "changed", "-": "deleted"}


def history_of(limit_id: int, portfolios: QuerySet[Portfolio]) -> list[dict[str, Any]]:
    """Newest first. Raises LimitNotFoundError where none of these portfolios ever had the limit."""
    rows = RiskLimit.history.filter(id=limit_id, portfolio__in=portfolios).select_related("history_user")
    newest_first = list(rows.order_by("-history_date", "-history_id"))
    if not newest_first:
        raise LimitNotFoundError(limit_id)
    return list(_entries(newest_first))


def _entries(newest_first: list[Any]) -> Iterator[dict[str, Any]]:
    for row, before in pairwise([*newest_first, None]):
        yield {
            "id": row.history_id,
            "event": _EVENTS[row.history_type],
            "at": row.history_date,
            "by": row.history_user.get_username() if row.history_user else None,
            "reason": row.history_change_reason,
            "changes": _changes(row, before),
        }


def _changes(row: Any, before: Any) -> dict[str, dict[str, Any]]:
    terms = terms_of(row)
    if before is None:
        return {name: {"from": None, "to": getattr(terms, name)} for name in TERMS if getattr(terms, name) is not None}
    earlier = terms_of(before)
    return {name: {"from": getattr(earlier, name), "to": value} for name, value in differences(earlier, terms).items()}

"""Where books come from, for the limits on losses: read from the stored histories, kept while they stay the same."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from django.db import connection

from apps.portfolios.matrix import PriceMatrix
from apps.risk.figures import Past

_PAST = (Path(__file__).parent / "sql" / "past.sql").read_text()


class Days(NamedTuple):
    """The day that a book is valued on, and the trading day before it; None where there is none."""

    as_of: date
    before: date | None


def days_of(symbols: Sequence[str], benchmark: str | None, as_of: date, matrix: PriceMatrix) -> Days:
    days = matrix.dates[matrix.trading_days(symbols, benchmark)]
    place = int(np.searchsorted(days, np.datetime64(as_of)))
    return Days(as_of, days[place - 1].item() if place else None)


def read_pasts(days: Mapping[str, Days]) -> dict[str, Past]:
    """By portfolio; from its initial cash where it began on the day itself.

    The stored history is brought up to date every few seconds (histories.py). Until then, and where it cannot be made,
    what was lost is not known: the past says that it is `behind`, and limits on it are unknown.
    """
    with connection.cursor() as cursor:
        as_of = [each.as_of for each in days.values()]
        cursor.execute(_PAST, {"portfolio_ids": list(days), "days": as_of})
        return {row[0]: _past(days[row[0]], *row[1:]) for row in cursor.fetchall()}


def _past(days: Days, value: float, flows: float, of_peak: float, closed_on: date | None, began_on: date) -> Past:
    behind = ""
    if days.before is not None and began_on <= days.before and (closed_on is None or closed_on < days.before):
        stored = f"stored up to {closed_on}" if closed_on else "not stored yet"
        behind = f"its history is {stored}, and the close before is of {days.before}"
    return Past(value, flows, of_peak, behind)


@lru_cache(maxsize=4_096)
def past_of(portfolio_id: str, days: Days, ledger_version: int, history_version: tuple[int, int]) -> Past:
    """The versions name the state that it was read at: one that was read before is as good."""
    return read_pasts({portfolio_id: days})[portfolio_id]

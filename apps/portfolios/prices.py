"""Reading closes: at a price version, which is one state of all prices."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import NamedTuple

from django.db import connection
from django.db.models import Max, QuerySet

from apps.portfolios.models import DailyPrice, PriceVersion

_LATEST_PRICES = (Path(__file__).parent / "sql" / "latest_prices.sql").read_text()


class Close(NamedTuple):
    date: date
    close: float


def current_price_version() -> int:
    """The newest version's number; 0 where no price has been imported yet."""
    return PriceVersion.objects.aggregate(newest=Max("id"))["newest"] or 0


def latest_prices(symbols: Iterable[str], version: int | None = None) -> dict[str, Close]:
    """Each symbol's newest close, as (date, close), at a version or now; one without prices is left out."""
    if not (wanted := sorted(set(symbols))):
        return {}
    newest = 2**63 - 1 if version is None else version
    with connection.cursor() as cursor:
        cursor.execute(_LATEST_PRICES, {"symbols": wanted, "version": newest})
        return {symbol: Close(day, close) for symbol, day, close in cursor.fetchall()}


def closes_of(symbol: str) -> QuerySet[DailyPrice]:
    """A symbol's closes as they stand now, one row a date; to be ordered by date first and version last."""
    # Not "-version": a relation is ordered as its own model is, which is newest first, so that would be oldest first.
    return DailyPrice.objects.filter(instrument=symbol).order_by("date", "-version_id").distinct("date")

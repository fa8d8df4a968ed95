"""The sample book: real prices and three portfolios, for the demonstration and the tests."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection, transaction

from apps.portfolios.columns import amounts, dates, texts
from apps.portfolios.ledger import book_trades, open_portfolio
from apps.portfolios.models import Instrument, Portfolio
from apps.portfolios.price_import import import_prices
from apps.portfolios.tables import check_columns, read_table
from apps.portfolios.trade_import import read_trades
from apps.portfolios.trade_rows import TradeRow

# Whom an admin puts into this group sees the sample portfolios.
GROUP = "sample_book"

_COLUMNS = ("portfolio_id", "name", "base_currency", "benchmark", "initial_cash", "inception_date")
_LOADING_LOCK = 0x6E617574_03


@dataclass(frozen=True, slots=True)
class Loaded:
    portfolios: int
    trades: int
    prices: int


@transaction.atomic
def load_sample_book(folder: Path) -> Loaded | None:
    """Loads prices, sectors, portfolios and trades in one transaction; None where the portfolios are there already."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOADING_LOCK])
    wanted = _read_portfolios(folder / "portfolios.csv")
    if Portfolio.objects.filter(pk__in=[fields["portfolio_id"] for fields in wanted]).count() == len(wanted):
        return None
    prices = import_prices((folder / "daily_prices.csv.gz").read_bytes(), "sample_data/daily_prices.csv.gz")
    _classify(folder / "instruments.csv")
    group, _ = Group.objects.get_or_create(name=GROUP)
    for fields in wanted:
        open_portfolio(**fields, groups=[group])
    return Loaded(len(wanted), _book_all(folder / "trades.csv"), prices.rows)


def _read_portfolios(path: Path) -> list[dict[str, Any]]:
    table = read_table(path.read_bytes())
    check_columns(table.data.column_names, _COLUMNS)
    with table.faults().checked() as faults:
        columns: dict[str, list[Any]] = {name: list(texts(table, name, faults)) for name in _COLUMNS[:4]}
        columns["initial_cash"] = list(amounts(table, "initial_cash", faults))
        columns["inception_date"] = _as_dates(dates(table, "inception_date", faults).tolist())
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _classify(path: Path) -> None:
    """Writes the sectors to instruments that the prices have made."""
    table = read_table(path.read_bytes())
    check_columns(table.data.column_names, ("symbol", "sector"))
    with table.faults().checked() as faults:
        rows = list(zip(texts(table, "symbol", faults), texts(table, "sector", faults), strict=True))
    for symbol, sector in rows:
        Instrument.objects.filter(pk=symbol).update(sector=sector)


def _as_dates(days: list[Any]) -> list[date]:
    return [day for day in days if day is not None]


def _book_all(path: Path) -> int:
    table = read_table(path.read_bytes())
    rows = read_trades(table)
    with table.faults().checked() as faults:
        portfolio_ids = texts(table, "portfolio_id", faults)
    books: dict[str, list[TradeRow]] = defaultdict(list)
    for portfolio_id, row in zip(portfolio_ids, rows, strict=True):
        books[portfolio_id or ""].append(row)
    return sum(book_trades(portfolio_id, trades).booked for portfolio_id, trades in books.items())

"""Imports trades from a CSV or Parquet file: all rows or none, and repeatable by `external_id`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from hashlib import sha256
from typing import Any

from apps.portfolios.columns import amounts, texts, times
from apps.portfolios.errors import TooManyRowsError
from apps.portfolios.faults import Faults
from apps.portfolios.ledger import Booking, book_trades
from apps.portfolios.tables import Table, check_columns, read_table
from apps.portfolios.trade_rows import TradeRow

COLUMNS = ("symbol", "quantity", "price", "traded_at")
OPTIONAL_COLUMNS = ("external_id", "portfolio_id")

# A request waits for the import, and each row becomes objects: more belong into several files.
MAX_ROWS = 200_000


def import_trades(portfolio_id: str, content: bytes, user: Any = None) -> Booking:
    """Raises FileErrors, and DomainErrors with the faults by row and column; then nothing is booked."""
    table = read_table(content)
    rows = read_trades(table)
    with table.faults().checked() as faults:
        _check_portfolio(table, portfolio_id, faults)
    return book_trades(portfolio_id, rows, user, table.faults())


def read_trades(table: Table) -> list[TradeRow]:
    """The table's rows as trades, one each, in its order. Raises DomainErrors where one cannot be read."""
    check_columns(table.data.column_names, COLUMNS, OPTIONAL_COLUMNS)
    _refuse_long(table)
    with table.faults().checked() as faults:
        columns: Sequence[Sequence[Any]] = (
            texts(table, "symbol", faults),
            amounts(table, "quantity", faults),
            amounts(table, "price", faults),
            times(table, "traded_at", faults),
            _optional(table, "external_id", faults),
        )
    return [_named(TradeRow(*values)) for values in zip(*columns, strict=True)]


def _named(row: TradeRow) -> TradeRow:
    """A row without an `external_id` is named by its content: sent again it is known, twice in a file it is refused."""
    if row.external_id:
        return row
    content = (row.symbol, row.quantity.normalize(), row.price.normalize(), row.traded_at.astimezone(UTC).isoformat())
    return replace(row, external_id="content:" + sha256(repr(content).encode()).hexdigest()[:32])


def _optional(table: Table, name: str, faults: Faults) -> list[str | None]:
    if name not in table.data.column_names:
        return [None] * len(table)
    return texts(table, name, faults, empty_allowed=True)


def _refuse_long(table: Table) -> None:
    if len(table) > MAX_ROWS:
        raise TooManyRowsError(
            f"The file has {len(table)} trades; at most {MAX_ROWS} are taken.", "Split it into several files."
        )


def _check_portfolio(table: Table, portfolio_id: str, faults: Faults) -> None:
    if "portfolio_id" not in table.data.column_names:
        return
    for index, named in enumerate(texts(table, "portfolio_id", faults)):
        if named not in (portfolio_id, None):
            detail = f"'{named}' is not the portfolio of this import, '{portfolio_id}'."
            faults.add(index, "portfolio_id", "other_portfolio", detail, "Leave the column out, or split the file.")

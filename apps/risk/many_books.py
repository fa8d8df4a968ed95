"""Many books as arrays: read in one statement, or one of them from the ledger as it stood at a version."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from django.db.models import Sum
from psycopg import sql

from apps.portfolios.copying import copy_query
from apps.portfolios.matrix import FloatArray
from apps.portfolios.models import Trade

_QUERY = (Path(__file__).parent / "sql" / "books.sql").read_text()
_ROW_TYPES = {
    "portfolio_id": pa.string(),
    "currency": pa.string(),
    "benchmark": pa.string(),
    "ledger_version": pa.int64(),
    "cash": pa.string(),
    "symbol": pa.string(),
    "quantity": pa.float64(),
    "symbol_currency": pa.string(),
}


@dataclass(frozen=True, slots=True)
class HeldBook:
    """What one portfolio holds: `quantities` (symbols,), negative when short; empty where it holds nothing.

    `foreign` are the symbols of another currency than the portfolio's, with their own.
    """

    portfolio_id: str
    currency: str
    benchmark: str | None
    ledger_version: int
    cash: Decimal
    symbols: tuple[str, ...]
    quantities: FloatArray
    foreign: tuple[str, ...] = ()


def read_books(portfolio_ids: Sequence[str]) -> Iterator[HeldBook]:
    """What these portfolios hold now, in the order of their ids; quantities are the nearest floats to the ledger's."""
    query = sql.SQL(_QUERY).format(portfolio_ids=sql.Literal(list(portfolio_ids))).as_string(None)
    rows = copy_query(query, _ROW_TYPES)
    columns = {name: rows[name].to_pylist() for name in _ROW_TYPES if name != "quantity"}
    quantities = rows["quantity"].to_numpy()
    ids = np.array(columns["portfolio_id"])
    if not len(ids):
        return
    changes = np.flatnonzero(ids[1:] != ids[:-1]) + 1
    for start, end in pairwise([0, *changes.tolist(), len(ids)]):
        yield _book(columns, quantities, start, end)


def _book(columns: dict[str, list[Any]], quantities: FloatArray, start: int, end: int) -> HeldBook:
    symbols = tuple(symbol for symbol in columns["symbol"][start:end] if symbol)
    currency = columns["currency"][start]
    codes = columns["symbol_currency"][start:end]
    return HeldBook(
        portfolio_id=columns["portfolio_id"][start],
        currency=currency,
        benchmark=columns["benchmark"][start] or None,
        ledger_version=columns["ledger_version"][start],
        cash=Decimal(columns["cash"][start]),
        symbols=symbols,
        quantities=quantities[start : start + len(symbols)],
        foreign=tuple(f"{name} ({code})" for name, code in zip(symbols, codes, strict=False) if code != currency),
    )


def book_of_ledger(inputs: dict[str, Any]) -> HeldBook:
    """The book that the inputs of a snapshot name, with the bits that read_books gave: the ledger is append-only."""
    trades = Trade.objects.filter(
        portfolio_id=inputs["portfolio_id"], ledger_version__lte=inputs["ledger_version"]
    ).order_by("instrument_id")
    held = [row for row in trades.values_list("instrument_id").annotate(quantity=Sum("quantity")) if row[1]]
    return HeldBook(
        portfolio_id=inputs["portfolio_id"],
        currency=inputs["currency"],
        benchmark=inputs["benchmark"],
        ledger_version=inputs["ledger_version"],
        cash=Decimal(inputs["cash"]),
        symbols=tuple(symbol for symbol, _ in held),
        quantities=np.array([float(quantity) for _, quantity in held]),
    )

"""Quotes from a file, at the pace at which they were recorded, or faster."""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from apps.portfolios.columns import numbers, texts, times
from apps.portfolios.feeds.pace import due_rows, timestamps_now
from apps.portfolios.feeds.registry import FeedKind, register_feed
from apps.portfolios.names import SYMBOL_EXPECTED, is_symbol
from apps.portfolios.quotes import MAX_PRICE, QuoteBatch
from apps.portfolios.tables import Table, check_columns, read_table

NAME = "file"
COLUMNS = ("timestamp", "symbol", "price")


class RecordedFeed:
    """A file of `timestamp,symbol,price`, once; timestamps are the wall clock's, `speed` times as fast as recorded."""

    name = NAME

    def __init__(self, path: Path, speed: float = 1.0) -> None:
        self.source = f"{path.name}"
        seconds, self._symbols, self._prices = _read(read_table(path.read_bytes()))
        order = np.argsort(seconds, kind="stable")
        self._offsets = (seconds[order] - seconds.min()) / speed
        self._symbols, self._prices = self._symbols[order], self._prices[order]
        self._played = 0

    def batches(self, stop: Event) -> Iterator[QuoteBatch]:
        rows = slice(self._played, None)
        offsets, symbols, prices = self._offsets[rows], self._symbols[rows], self._prices[rows]
        for due in due_rows(offsets - offsets[:1], stop):
            yield QuoteBatch(symbols[due].tolist(), prices[due], timestamps_now(due.stop - due.start))
            self._played += due.stop - due.start


def _read(table: Table) -> tuple[Any, Any, Any]:
    """Seconds since 1970, symbols and prices, each (rows,). Raises DomainErrors by row and column."""
    check_columns(table.data.column_names, COLUMNS)
    with table.faults().checked() as faults:
        moments = times(table, "timestamp", faults)
        symbols = np.array(texts(table, "symbol", faults), dtype=object)
        prices = numbers(table, "price", faults)
        wrong = np.flatnonzero([symbol is not None and not is_symbol(symbol) for symbol in symbols])
        faults.add_all(
            wrong, "symbol", "invalid_symbol", lambda row: f"{symbols[row]!r} is not a symbol.", SYMBOL_EXPECTED
        )
        faults.add_all(
            np.flatnonzero((prices <= 0) | (prices > MAX_PRICE)),
            "price",
            "not_positive",
            lambda row: f"{prices[row]:g} is no price.",
            "Expected a price above zero and at most 1e15.",
        )
    return np.array([moment.timestamp() for moment in moments if moment]), symbols, prices


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="CSV, gzipped CSV or Parquet with timestamp, symbol and price")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="2 plays it in half of its time (default: %(default)s)"
    )


def _make(options: dict[str, Any]) -> RecordedFeed:
    if not 0 < options["speed"] < float("inf"):
        raise ValueError("Expected a --speed above zero.")
    return RecordedFeed(options["path"], options["speed"])


register_feed(NAME, FeedKind("Recorded quotes from a file, once, at their own pace", _add_arguments, _make))

"""Daily prices in a file, wide (a column a symbol) or long (date, symbol, close), as one checked long table."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from django.utils import timezone

from apps.portfolios.columns import dates, numbers
from apps.portfolios.errors import NoRowsError
from apps.portfolios.faults import Faults
from apps.portfolios.models import LARGEST
from apps.portfolios.names import SYMBOL_EXPECTED, is_symbol
from apps.portfolios.tables import Table, check_columns, read_table

LONG_COLUMNS = ("date", "symbol", "close")
EARLIEST_DATE = np.datetime64("1900-01-01")

_EXPECT_PRICE = "Expected a price above zero and at most 1e15; in the wide form leave the cell empty for no price."


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Closes, one row a date and symbol: arrow columns symbol, date, close; no doubles, all checked."""

    data: pa.Table
    symbols: tuple[str, ...]
    first_date: date
    last_date: date

    def __len__(self) -> int:
        return self.data.num_rows


def read_prices(content: bytes) -> PriceTable:
    """Raises FileErrors, and DomainErrors with the faults by row and column."""
    table = read_table(content)
    names = table.data.column_names
    is_long = "symbol" in names or "close" in names
    check_columns(names, LONG_COLUMNS if is_long else ("date",), () if is_long else names)
    return _read_long(table) if is_long else _read_wide(table)


def _read_long(table: Table) -> PriceTable:
    with table.faults().checked() as faults:
        days = _checked_dates(table, faults)
        codes, symbols = _checked_symbols(table, faults)
        closes = numbers(table, "close", faults)
        _check_closes(closes, "close", faults)
        _check_doubles(days, codes, symbols, faults)
    return _price_table(days, codes, symbols, closes)


def _read_wide(table: Table) -> PriceTable:
    symbols = [name for name in table.data.column_names if name != "date"]
    with table.faults().checked() as faults:
        days = _checked_dates(table, faults)
        for name in symbols:
            _check_symbol_column(name, faults)
        _check_doubles(days, np.zeros(len(days), np.intp), ["this date"], faults)
        closes = [_checked_column(table, name, faults) for name in symbols]
    row, code = np.nonzero(np.isfinite(np.column_stack(closes))) if closes else (np.empty(0, int), np.empty(0, int))
    if not len(row):
        raise NoRowsError("There is no price in the file.", "Name a symbol in the header and fill in its closes.")
    return _price_table(days[row], code, symbols, np.column_stack(closes)[row, code])


def _checked_column(table: Table, name: str, faults: Faults) -> npt.NDArray[np.float64]:
    closes = numbers(table, name, faults, empty_allowed=True)
    _check_closes(closes, name, faults)
    return closes


def _checked_dates(table: Table, faults: Faults) -> npt.NDArray[np.datetime64]:
    days = dates(table, "date", faults)
    today = np.datetime64(timezone.now().date())
    faults.add_all(
        np.flatnonzero(days > today),
        "date",
        "future_date",
        lambda row: f"{days[row]} is in the future.",
        f"Expected a date up to today, {today} UTC.",
    )
    faults.add_all(
        np.flatnonzero(days < EARLIEST_DATE),
        "date",
        "invalid_date",
        lambda row: f"{days[row]} is before {EARLIEST_DATE}.",
        "Look at the year.",
    )
    return days


def _checked_symbols(table: Table, faults: Faults) -> tuple[npt.NDArray[np.intp], list[str]]:
    """Codes (rows,) into the list of symbols."""
    column = table.data["symbol"]
    if not pa.types.is_string(column.type):
        faults.add(0, "symbol", "wrong_type", f"the column holds {column.type}.", "Expected text.")
        return np.zeros(len(column), np.intp), [""]
    encoded = column.fill_null("").combine_chunks().dictionary_encode()
    codes, symbols = encoded.indices.to_numpy().astype(np.intp), encoded.dictionary.to_pylist()
    wrong = np.array([not is_symbol(symbol) for symbol in symbols])
    faults.add_all(
        np.flatnonzero(wrong[codes]),
        "symbol",
        "invalid_symbol",
        lambda row: f"'{symbols[codes[row]][:60]}' is not a symbol.",
        SYMBOL_EXPECTED,
    )
    return codes, symbols


def _check_symbol_column(name: str, faults: Faults) -> None:
    if not is_symbol(name):
        # Of the header, which is the row before the first.
        faults.add(-1, name[:60], "invalid_symbol", f"'{name[:60]}' is not a symbol.", SYMBOL_EXPECTED)


def _check_closes(closes: npt.NDArray[np.float64], name: str, faults: Faults) -> None:
    faults.add_all(
        np.flatnonzero(closes <= 0), name, "not_positive", lambda row: f"{closes[row]:g} is no price.", _EXPECT_PRICE
    )
    faults.add_all(
        np.flatnonzero(closes > float(LARGEST)),
        name,
        "too_large",
        lambda row: f"{closes[row]:g} is no price.",
        _EXPECT_PRICE,
    )


def _check_doubles(
    days: npt.NDArray[np.datetime64], codes: npt.NDArray[np.intp], symbols: list[str], faults: Faults
) -> None:
    keys = days.astype(np.int64) * len(symbols) + codes
    keys[np.isnat(days)] = -1 - np.arange(np.count_nonzero(np.isnat(days))) + np.iinfo(np.int64).min // 2
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    original = first[inverse]
    faults.add_all(
        np.flatnonzero(original != np.arange(len(keys))),
        "date",
        "duplicate_row",
        lambda row: f"{days[row]} of {symbols[codes[row]]} stands in row {faults.first_row + original[row]} already.",
        "Give each date and symbol once.",
    )


def _price_table(
    days: npt.NDArray[np.datetime64], codes: npt.NDArray[np.intp], symbols: list[str], closes: npt.NDArray[np.float64]
) -> PriceTable:
    named = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(symbols, pa.string()))
    data = pa.table({"symbol": named.cast(pa.string()), "date": pa.array(days), "close": closes})
    used = sorted(symbols[code] for code in np.unique(codes))
    return PriceTable(data, tuple(used), days.min().item(), days.max().item())

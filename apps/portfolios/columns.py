"""Columns of a table as numbers, dates, times and texts. What does not fit is a fault of its row, never a guess."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from apps.portfolios.faults import Faults
from apps.portfolios.tables import Table

# No NaN, no infinity, no hexadecimal, no thousands separators, no blanks.
_NUMBER = r"^[+-]?([0-9]{1,40}([.][0-9]{0,40})?|[.][0-9]{1,40})([eE][+-]?[0-9]{1,3})?$"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PLAIN_TEXT = r"^[\x20-\x7e\x{a0}-\x{10ffff}]{0,100}$"

_EXPECT_NUMBER = "Expected a number such as 12.5."
_EXPECT_DATE = "Expected a date such as 2022-12-28."
_EXPECT_TIME = "Expected a time with its zone, such as 2022-12-28T21:00:00Z."


def numbers(table: Table, name: str, faults: Faults, *, empty_allowed: bool = False) -> npt.NDArray[np.float64]:
    """(rows,) float64; NaN stands for an empty value, which is a fault unless allowed."""
    column = table.data[name]
    if not empty_allowed:
        _add_empty(column, name, faults)
    read = _parsed_numbers if _is_text(column) else _typed_numbers
    return read(column, name, faults).to_numpy(zero_copy_only=False).astype(np.float64)


def _is_text(column: pa.ChunkedArray) -> bool:
    return pa.types.is_string(column.type) or pa.types.is_large_string(column.type)


def _parsed_numbers(column: pa.ChunkedArray, name: str, faults: Faults) -> pa.ChunkedArray:
    filled = pc.if_else(pc.equal(column, ""), None, column)
    is_number = pc.fill_null(pc.match_substring_regex(filled, _NUMBER), True)
    _add_where_not(is_number, column, name, faults)
    return _finite(pc.if_else(is_number, filled, None).cast(pa.float64()), column, name, faults)


def _typed_numbers(column: pa.ChunkedArray, name: str, faults: Faults) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_null(kind):
        return column.cast(pa.float64())
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        faults.add(0, name, "wrong_type", f"the column holds {kind}.", _EXPECT_NUMBER)
        return pa.chunked_array([pa.nulls(len(column), pa.float64())])
    return _finite(column.cast(pa.float64(), safe=False), column, name, faults)


def _finite(values: pa.ChunkedArray, column: pa.ChunkedArray, name: str, faults: Faults) -> pa.ChunkedArray:
    """The values without NaN and infinity, which 1e999 becomes; `column` is what the file says."""
    is_finite = pc.fill_null(pc.is_finite(values), True)
    _add_where_not(is_finite, column, name, faults)
    return pc.if_else(is_finite, values, None)


def _add_where_not(mask: pa.ChunkedArray, column: pa.ChunkedArray, name: str, faults: Faults) -> None:
    def detail(row: int) -> str:
        return f"{_shown(column, row)} is not a number."

    faults.add_all(_where_not(mask), name, "not_a_number", detail, _EXPECT_NUMBER)


def dates(table: Table, name: str, faults: Faults) -> npt.NDArray[np.datetime64]:
    """(rows,) datetime64[D]; NaT where there was a fault."""
    column = table.data[name]
    if pa.types.is_date(column.type):
        _add_empty(column, name, faults)
        return column.cast(pa.date32()).to_numpy(zero_copy_only=False).astype("datetime64[D]")
    if pa.types.is_timestamp(column.type):
        return _midnights(column, name, faults)
    return _each(table, name, faults, _as_date, "invalid_date", _EXPECT_DATE).astype("datetime64[D]")


def _midnights(column: pa.ChunkedArray, name: str, faults: Faults) -> npt.NDArray[np.datetime64]:
    """pandas writes dates as times at midnight; another time of day is not a date."""
    _add_empty(column, name, faults)
    times = column.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False).astype("datetime64[us]")
    days = times.astype("datetime64[D]")
    late = ~np.isnat(times) & (days != times)
    faults.add_all(
        np.flatnonzero(late), name, "invalid_date", lambda row: f"{_shown(column, row)} is a time.", _EXPECT_DATE
    )
    return days


def _as_date(text: Any) -> date | None:
    if not isinstance(text, str) or not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def times(table: Table, name: str, faults: Faults) -> list[datetime | None]:
    """Moments in UTC; None where there was a fault, as a time without its zone is."""
    column = table.data[name]
    if pa.types.is_timestamp(column.type):
        _add_empty(column, name, faults)
        if column.type.tz is None:
            faults.add(0, name, "no_time_zone", "the column's times have no time zone.", _EXPECT_TIME)
        return column.cast(pa.timestamp("us", "UTC")).to_pylist()
    return _each(table, name, faults, _as_time, "invalid_time", _EXPECT_TIME).tolist()


def _as_time(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo and len(text) >= 17 else None
    except (TypeError, ValueError, OverflowError):
        return None


def amounts(table: Table, name: str, faults: Faults) -> list[Decimal | None]:
    """Exact decimals, as the file writes them; None where there was a fault."""
    column = table.data[name]
    is_number = np.isfinite(numbers(table, name, faults))
    values = zip(column.to_pylist(), is_number.tolist(), strict=True)
    return [_decimal(value) if is_good else None for value, is_good in values]


def _decimal(value: Any) -> Decimal:
    # A float is taken as the digits that it is written with.
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def texts(table: Table, name: str, faults: Faults, *, empty_allowed: bool = False) -> list[str | None]:
    """Texts of at most 100 printable characters; None for an empty one, which is a fault unless allowed."""
    column = table.data[name]
    if not _is_text(column):
        return _typed_texts(column, name, faults)
    is_plain = pc.fill_null(pc.match_substring_regex(column, _PLAIN_TEXT), True)
    faults.add_all(
        _where_not(is_plain),
        name,
        "invalid_text",
        lambda row: f"{_shown(column, row)} is longer than 100 characters or holds unprintable ones.",
    )
    if not empty_allowed:
        _add_empty(column, name, faults)
    return [text or None for text in column.to_pylist()]


def _typed_texts(column: pa.ChunkedArray, name: str, faults: Faults) -> list[str | None]:
    if not pa.types.is_null(column.type):
        faults.add(0, name, "wrong_type", f"the column holds {column.type}.", "Expected text.")
    return [None] * len(column)


def _each(
    table: Table, name: str, faults: Faults, parse: Callable[[Any], Any], code: str, expected: str
) -> npt.NDArray[np.object_]:
    """Parses each different value once: a date stands in many rows."""
    column = table.data[name]
    encoded = column.combine_chunks().dictionary_encode()
    parsed = np.array([parse(value) for value in encoded.dictionary.to_pylist()] + [None], dtype=object)
    values = parsed[pc.fill_null(encoded.indices, len(parsed) - 1).to_numpy()]
    wrong = np.flatnonzero([value is None for value in values])
    faults.add_all(wrong, name, code, lambda row: f"{_shown(column, row)} cannot be read.", expected)
    return values


def _add_empty(column: pa.ChunkedArray, name: str, faults: Faults) -> None:
    is_empty = column.is_null().to_numpy()
    if _is_text(column):
        is_empty |= pc.fill_null(pc.equal(column, ""), True).to_numpy()
    faults.add_all(np.flatnonzero(is_empty), name, "empty", lambda _: "is empty.", "Give a value.")


def _where_not(mask: pa.ChunkedArray) -> npt.NDArray[np.intp]:
    return np.flatnonzero(~mask.to_numpy(zero_copy_only=False).astype(bool))


def _shown(column: pa.ChunkedArray, row: int) -> str:
    text = str(column[row].as_py())
    return f"'{text}'" if len(text) <= 60 else f"'{text[:57]}...'"

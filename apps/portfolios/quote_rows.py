"""Quotes in the body of a request: all are checked before one is taken, 10,000 in a blink."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from apps.portfolios.errors import (
    FutureDateError,
    NotANumberError,
    NoTimeZoneError,
    NotPositiveError,
    TooLargeError,
    UnknownSymbolError,
)
from apps.portfolios.faults import LISTED, UnlistedFaultsError
from apps.portfolios.quotes import MAX_AHEAD_SECONDS, MAX_PRICE, QuoteBatch
from nautilus.api.errors import DomainError, DomainErrors
from nautilus.api.pages import unknown_name

MAX_QUOTES = 10_000
FIELDS = ("symbol", "price", "timestamp")

_FIELDS = frozenset(FIELDS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# One text for all: the driver alone would take 50 ms for 10,000 parameters, or an array of them; this takes 13 in all.
_KNOWN = "SELECT symbol FROM portfolios_instrument WHERE symbol = ANY(string_to_array(%s, E'\\n'))"
_EXAMPLE = "Expected a time with its zone, e.g. 2022-12-28T21:00:00.250Z."


class NotAQuoteError(DomainError):
    code = "not_a_quote"


class TooManyQuotesError(DomainError):
    code = "too_many_quotes"


class MissingFieldError(DomainError):
    code = "required"


class UnknownFieldError(DomainError):
    code = "unknown_field"


class NotATimeError(DomainError):
    code = "not_a_time"


class QuoteError(DomainError):
    """A fault in one quote. The code is that of the fault; the place stands in `attr` and in the words."""

    def __init__(self, index: int, fault: DomainError) -> None:
        attr = f"quotes.{index}.{fault.attr}" if fault.attr else f"quotes.{index}"
        super().__init__(f"Quote {index}: {fault.detail}", fault.remedy, attr)
        self.code = fault.code


def read_quotes(rows: Any) -> QuoteBatch:
    """The rows of a body as columns. Raises with every fault counted and the first hundred told; rows count from 0."""
    _check_list(rows)
    known, latest = _known_symbols(rows), timezone.now() + timedelta(seconds=MAX_AHEAD_SECONDS)
    moments = [_moment(row, known, latest) for row in rows]
    if None in moments:
        _refuse(rows, moments, known, latest)
    return QuoteBatch(
        symbols=[row["symbol"] for row in rows],
        prices=[float(row["price"]) for row in rows],
        timestamps_us=[(moment - _EPOCH) // _MICROSECOND for moment in moments if moment],
    )


def _check_list(rows: Any) -> None:
    if not isinstance(rows, list):
        raise NotAQuoteError(f"{_shown(rows)} is not a list.", "Expected a list of quotes.", "quotes")
    if len(rows) > MAX_QUOTES:
        raise TooManyQuotesError(
            f"{len(rows):,} quotes are too many.", f"Send at most {MAX_QUOTES:,} a call.", "quotes"
        )


def _known_symbols(rows: Sequence[Any]) -> set[str]:
    named = {row["symbol"] for row in rows if isinstance(row, dict) and isinstance(row.get("symbol"), str)}
    askable = "\n".join(symbol for symbol in named if symbol.isprintable())
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, [askable])
        return {symbol for (symbol,) in cursor.fetchall()}


def _moment(row: Any, known: set[str], latest: datetime) -> datetime | None:
    """When a quote without fault is of; None for one with any, which `_faults_of` then names."""
    try:
        price = row["price"]
        is_sound = (
            row.keys() == _FIELDS
            and row["symbol"] in known
            and type(price) in (int, float)
            and 0 < price <= MAX_PRICE
            and _EPOCH < (moment := datetime.fromisoformat(row["timestamp"])) <= latest
        )
    except (TypeError, KeyError, ValueError, AttributeError):
        return None
    return moment if is_sound else None


def _refuse(rows: Sequence[Any], moments: Sequence[datetime | None], known: set[str], latest: datetime) -> None:
    faulty = [index for index, moment in enumerate(moments) if moment is None]
    told: list[DomainError] = [
        QuoteError(index, fault) for index in faulty[:LISTED] for fault in _faults_of(rows[index], known, latest)
    ]
    if len(faulty) > LISTED:
        told.append(UnlistedFaultsError(f"The first {LISTED} of {len(faulty):,} quotes with faults are listed."))
    raise DomainErrors(told)


def _faults_of(row: Any, known: set[str], latest: datetime) -> Iterator[DomainError]:
    if not isinstance(row, dict):
        yield NotAQuoteError(f"{_shown(row)} is not an object.", f"Expected one with {', '.join(FIELDS)}.")
        return
    for name in [name for name in row if name not in _FIELDS]:
        yield UnknownFieldError(str(unknown_name(_shown(name), FIELDS, "field")), attr=name[:60])
    for name in FIELDS:
        if name not in row:
            yield MissingFieldError(f"{name} is missing.", f"Expected {', '.join(FIELDS)}.", name)
    if "symbol" in row:
        yield from _faults_of_symbol(row["symbol"], known)
    if "price" in row:
        yield from _faults_of_price(row["price"])
    if "timestamp" in row:
        yield from _faults_of_timestamp(row["timestamp"], latest)


def _faults_of_symbol(symbol: Any, known: set[str]) -> Iterator[DomainError]:
    if not isinstance(symbol, str) or symbol not in known:
        yield UnknownSymbolError(symbol[:60] if isinstance(symbol, str) else _shown(symbol))


def _faults_of_price(price: Any) -> Iterator[DomainError]:
    if type(price) not in (int, float):
        yield NotANumberError(f"{_shown(price)} is not a number.", "Expected a JSON number such as 12.5.", "price")
    elif not price > 0:
        yield NotPositiveError(f"{_shown(price)} is no price.", "Expected a number above zero.", "price")
    elif price > MAX_PRICE:
        yield TooLargeError(f"{_shown(price)} is too large.", "At most 1e15 is taken.", "price")


def _faults_of_timestamp(text: Any, latest: datetime) -> Iterator[DomainError]:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        yield NotATimeError(f"{_shown(text)} is not a time.", _EXAMPLE, "timestamp")
        return
    if moment.tzinfo is None:
        yield NoTimeZoneError(f"{_shown(text)} has no time zone.", _EXAMPLE, "timestamp")
    elif moment > latest:
        remedy = f"Expected at most {MAX_AHEAD_SECONDS} s from now, {latest:%Y-%m-%dT%H:%M:%SZ}."
        yield FutureDateError(f"{_shown(text)} is in the future.", remedy, "timestamp")
    elif moment <= _EPOCH:
        yield NotATimeError(f"{_shown(text)} is before 1970.", _EXAMPLE, "timestamp")


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

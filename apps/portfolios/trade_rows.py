"""A trade as it comes in, and what can be wrong with it before it is booked."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from apps.portfolios.errors import (
    BadExternalIdError,
    BeforeInceptionError,
    CurrencyMismatchError,
    FutureDateError,
    InactiveInstrumentError,
    NotANumberError,
    NoTimeZoneError,
    NotPositiveError,
    TooLargeError,
    TooManyPlacesError,
    UnknownSymbolError,
    ZeroError,
)
from apps.portfolios.models import LARGEST, Instrument, Portfolio
from nautilus.api.errors import DomainError

# A client's clock may be ahead of ours by so much.
CLOCK_SKEW = timedelta(seconds=60)

# NUMERIC(24, 8), and products of two of them without rounding; not the thread's context, which anybody may change.
_UNIT = Decimal("0.00000001")
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


def booked_cost(quantity: Decimal, price: Decimal) -> Decimal:
    """What a trade takes out of the cash, to the ledger's 8 places."""
    return _EXACT.quantize(_EXACT.multiply(quantity, price), _UNIT)


@dataclass(frozen=True, slots=True)
class TradeRow:
    """A trade that is asked for; `quantity` is negative to sell, `traded_at` has its time zone."""

    symbol: str
    quantity: Decimal
    price: Decimal
    traded_at: datetime
    external_id: str | None = None

    @property
    def cost(self) -> Decimal:
        """What the trade takes out of the cash, to the ledger's 8 places."""
        return booked_cost(self.quantity, self.price)

    @property
    def content(self) -> tuple[Any, ...]:
        """What must be equal where an `external_id` comes again."""
        return (self.symbol, self.quantity, self.price, self.traded_at)


class TradeRules:
    """What a portfolio's trades must keep to; asked row by row."""

    def __init__(self, portfolio: Portfolio, rows: Iterable[TradeRow], now: datetime) -> None:
        self._portfolio = portfolio
        self._latest = now + CLOCK_SKEW
        self._instruments = Instrument.objects.in_bulk({row.symbol for row in rows if "\0" not in row.symbol})

    def faults_of(self, row: TradeRow) -> Iterator[DomainError]:
        """Every fault, with `attr` naming the field."""
        yield from self._faults_of_symbol(row.symbol)
        yield from faults_of_amount(row.quantity, "quantity")
        yield from faults_of_amount(row.price, "price")
        if row.price.is_finite() and row.price <= 0:
            yield NotPositiveError(f"{_shown(row.price)} is no price.", "Expected a number above zero.", "price")
        if row.quantity == 0:
            yield ZeroError("A quantity of 0 trades nothing.", "Expected a number other than zero.", "quantity")
        yield from self._faults_of_time(row.traded_at)
        if row.external_id is not None:
            yield from faults_of_external_id(row.external_id)

    def _faults_of_symbol(self, symbol: str) -> Iterator[DomainError]:
        instrument = self._instruments.get(symbol)
        if instrument is None:
            yield UnknownSymbolError(symbol)
            return
        if not instrument.active:
            yield InactiveInstrumentError(
                f"{symbol} takes no trades: it is inactive.", "An admin can activate it.", "symbol"
            )
        if instrument.currency != self._portfolio.base_currency:
            yield CurrencyMismatchError(
                f"{symbol} is priced in {instrument.currency}, {self._portfolio.id} is kept in"
                f" {self._portfolio.base_currency}.",
                "Book it in a portfolio of its currency: there are no exchange rates yet.",
                "symbol",
            )

    def _faults_of_time(self, traded_at: datetime) -> Iterator[DomainError]:
        if traded_at.tzinfo is None:
            yield NoTimeZoneError(f"{traded_at} has no time zone.", "Expected e.g. 2022-12-28T21:00:00Z.", "traded_at")
            return
        yield from faults_of_date(self._portfolio, traded_at.astimezone(UTC).date(), "traded_at")
        if traded_at > self._latest:
            shown = traded_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            yield FutureDateError(f"{shown} is in the future.", "Book a trade once it is done.", "traded_at")


def faults_of_amount(amount: Decimal, attr: str) -> Iterator[DomainError]:
    if not amount.is_finite():
        yield NotANumberError(f"{amount} is not a number.", "Expected a number such as 12.5.", attr)
    elif abs(amount) > LARGEST:
        yield TooLargeError(f"{_shown(amount)} is too large.", "At most 1e15 is taken.", attr)
    elif amount != _EXACT.quantize(amount, _UNIT):
        yield TooManyPlacesError(f"{_shown(amount)} has more than 8 decimal places.", "Round it.", attr)


def faults_of_date(portfolio: Portfolio, day: date, attr: str) -> Iterator[DomainError]:
    if day < portfolio.inception_date:
        yield BeforeInceptionError(
            f"{day} is before {portfolio.id} began, on {portfolio.inception_date}.",
            f"Expected {portfolio.inception_date} or later.",
            attr,
        )


def faults_of_external_id(external_id: str) -> Iterator[DomainError]:
    if not 1 <= len(external_id) <= 100 or not external_id.isprintable():
        yield BadExternalIdError(
            f"The external_id {external_id[:40]!r} cannot be kept.",
            "Expected 1 to 100 printable characters.",
            "external_id",
        )


def _shown(amount: Decimal) -> str:
    # 1e999 written out would be a thousand digits.
    return str(amount)[:60]

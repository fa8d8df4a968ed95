"""The book whose risk is asked for: what was held, at which prices, with which returns behind it."""

import math
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from apps.portfolios.kernels.valuation import simple_returns
from apps.portfolios.matrix import DateArray, PriceMatrix
from apps.portfolios.models import CashFlow, Instrument, Portfolio, Position, Trade
from apps.portfolios.trade_rows import booked_cost
from apps.risk.errors import AsOfError, CurrencyMismatchError, InsufficientHistoryError, NoPositionsError
from apps.risk.methods import PricedBook


@dataclass(frozen=True, slots=True)
class Book:
    """Quantities and cash as the ledger has them, exact; the currency is the portfolio's."""

    portfolio_id: str
    currency: str
    benchmark: str | None
    ledger_version: int
    cash: Decimal
    quantities: tuple[tuple[str, Decimal], ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(symbol for symbol, _ in self.quantities)


def current_book(portfolio_id: str) -> Book:
    """What is held now. One statement reads it, so that no booking falls between positions and cash."""
    of_the_book = ("base_currency", "benchmark_id", "ledger_version", "cash")
    columns = ("instrument_id", "quantity", "instrument__currency", *(f"portfolio__{name}" for name in of_the_book))
    rows = list(Position.objects.filter(portfolio_id=portfolio_id).order_by("instrument_id").values_list(*columns))
    if not rows:
        raise _no_positions(portfolio_id, "now")
    currency, benchmark, ledger_version, cash = rows[0][3:]
    _refuse_other_currencies(portfolio_id, currency, {row[0]: row[2] for row in rows})
    quantities = tuple((symbol, quantity) for symbol, quantity, *_ in rows)
    return Book(portfolio_id, currency, benchmark, ledger_version, cash, quantities)


def book_at(portfolio_id: str, as_of: date) -> Book:
    """What was held at a day's close, from the ledger as it is known now."""
    portfolio = Portfolio.objects.get(pk=portfolio_id)
    known = {"portfolio_id": portfolio_id, "ledger_version__lte": portfolio.ledger_version}
    held: dict[str, Decimal] = {}
    cash = portfolio.initial_cash
    for symbol, quantity, price in Trade.objects.filter(**known, traded_at__date__lte=as_of).values_list(
        "instrument_id", "quantity", "price"
    ):
        held[symbol] = held.get(symbol, Decimal(0)) + quantity
        cash -= booked_cost(quantity, price)
    cash += sum(CashFlow.objects.filter(**known, date__lte=as_of).values_list("amount", flat=True), Decimal(0))
    quantities = tuple(sorted((symbol, quantity) for symbol, quantity in held.items() if quantity))
    if not quantities:
        raise _no_positions(portfolio_id, f"at the close of {as_of}")
    currencies = Instrument.objects.filter(pk__in=[symbol for symbol, _ in quantities])
    _refuse_other_currencies(portfolio_id, portfolio.base_currency, dict(currencies.values_list("symbol", "currency")))
    return Book(
        portfolio_id, portfolio.base_currency, portfolio.benchmark_id, portfolio.ledger_version, cash, quantities
    )


def _no_positions(portfolio_id: str, when: str) -> NoPositionsError:
    return NoPositionsError(
        f"{portfolio_id} holds no position {when}; a book of cash alone has no market risk to measure.",
        "Book a trade first, or ask for a date on which it held something.",
    )


def _refuse_other_currencies(portfolio_id: str, base: str, currencies: dict[str, str]) -> None:
    others = sorted(f"{symbol} ({code})" for symbol, code in currencies.items() if code != base)
    if others:
        raise CurrencyMismatchError(
            f"{portfolio_id} is kept in {base}, but holds {', '.join(others)}.",
            "Hold instruments of the portfolio's currency only: there are no exchange rates yet.",
        )


def latest_common_date(symbols: tuple[str, ...], benchmark: str | None, matrix: PriceMatrix) -> date:
    """The latest day on which every one of the symbols has a price."""
    days = matrix.trading_days(symbols, benchmark)
    priced = days[np.isfinite(matrix.closes(symbols, days)).all(axis=1)]
    if not len(priced):
        never = [symbol for symbol in symbols if symbol not in set(matrix.symbols)]
        raise InsufficientHistoryError(
            f"There is no day on which all of {', '.join(symbols)} have a price.",
            f"Import prices for {', '.join(never or symbols)}.",
        )
    return matrix.dates[priced[-1]].item()


def price_book(book: Book, as_of: date, window_days: int, matrix: PriceMatrix) -> PricedBook:
    """The book at the close of `as_of`, with the `window_days` returns up to and including it.

    Its days are those on which anything in it or its benchmark has a price; one on which a part has none is a gap.
    """
    days = matrix.trading_days(book.symbols, book.benchmark)
    last = _place_of(as_of, matrix.dates[days])
    window = days[max(0, last - window_days) : last + 1]
    prices = matrix.closes(book.symbols, window)
    _refuse_short_history(book.symbols, prices, window_days)
    values = np.array([float(quantity) for _, quantity in book.quantities]) * prices[-1]
    return PricedBook(
        symbols=book.symbols,
        values=values,
        returns=simple_returns(prices),
        dates=matrix.dates[window[1:]],
        total=math.fsum([float(book.cash), *values.tolist()]),
    )


def _place_of(as_of: date, days: DateArray) -> int:
    row = int(np.searchsorted(days, np.datetime64(as_of)))
    if row == len(days) or days[row] != np.datetime64(as_of):
        span = f"{days[0]} to {days[-1]}" if len(days) else "there is none"
        raise AsOfError(
            f"Nothing in the book has a price on {as_of}.", f"Ask for a trading day with prices ({span}).", "as_of"
        )
    return row


def _refuse_short_history(symbols: tuple[str, ...], prices: Any, window_days: int) -> None:
    missing = np.isnan(prices)
    # The returns in a row that end on the last day: as many as there are priced days behind it without a gap.
    have = np.where(missing.any(axis=0), missing[::-1].argmax(axis=0), len(prices)) - 1
    short = {symbol: max(int(count), 0) for symbol, count in zip(symbols, have, strict=True) if count < window_days}
    if short:
        raise InsufficientHistoryError(
            f"A window of {window_days} returns was asked for; "
            + ", ".join(f"{symbol} has {count}" for symbol, count in short.items())
            + ".",
            f"Ask for window_days of {min(short.values())} or less, or import older prices.",
            attr="window_days",
        )

"""The book whose risk is asked for: what was held, at which prices, with which returns behind it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import numpy as np

from apps.portfolios.kernels.valuation import simple_returns
from apps.portfolios.matrix import DateArray, FloatArray, PriceMatrix
from apps.portfolios.models import CashFlow, Instrument, Portfolio, Position, Trade
from apps.portfolios.trade_rows import booked_cost
from apps.risk.errors import (
    AsOfError,
    CurrencyMismatchError,
    InsufficientHistoryError,
    NoPositionsError,
    ProxyError,
)
from apps.risk.kernels.historical import scenario_pnl
from apps.risk.methods import PricedBook

NAMED_SYMBOLS = 20  # in a refusal


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
        raise no_positions(portfolio_id, "now")
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
        raise no_positions(portfolio_id, f"at the close of {as_of}")
    currencies = Instrument.objects.filter(pk__in=[symbol for symbol, _ in quantities])
    _refuse_other_currencies(portfolio_id, portfolio.base_currency, dict(currencies.values_list("symbol", "currency")))
    return Book(
        portfolio_id, portfolio.base_currency, portfolio.benchmark_id, portfolio.ledger_version, cash, quantities
    )


def no_positions(portfolio_id: str, when: str) -> NoPositionsError:
    return NoPositionsError(
        f"{portfolio_id} holds no position {when}; a book of cash alone has no market risk to measure.",
        "Book a trade first, or ask for a date on which it held something.",
    )


def _refuse_other_currencies(portfolio_id: str, base: str, currencies: dict[str, str]) -> None:
    refuse_foreign(portfolio_id, base, [f"{symbol} ({code})" for symbol, code in currencies.items() if code != base])


def refuse_foreign(portfolio_id: str, base: str, foreign: Sequence[str]) -> None:
    """`foreign` are the positions of another currency, as in `SAP (EUR)`. Raises CurrencyMismatchError for any."""
    if foreign:
        raise CurrencyMismatchError(
            f"{portfolio_id} is kept in {base}, but holds {', '.join(sorted(foreign))}.",
            "Hold instruments of the portfolio's currency only: there are no exchange rates yet.",
        )


def latest_common_date(symbols: tuple[str, ...], benchmark: str | None, matrix: PriceMatrix) -> date:
    """The latest day on which every one of the symbols has a price."""
    days = matrix.trading_days(symbols, benchmark)
    priced = days[np.isfinite(matrix.closes(symbols, days)).all(axis=1)]
    if not len(priced):
        never = [symbol for symbol in symbols if symbol not in set(matrix.symbols)]
        raise InsufficientHistoryError(
            f"There is no day on which all of {_named(symbols)} have a price.",
            f"Import prices for {_named(never or symbols)}.",
        )
    return matrix.dates[priced[-1]].item()


def _named(symbols: Sequence[str]) -> str:
    """The first of them: a book may hold thousands, and the message goes to whoever follows it."""
    shown = ", ".join(symbols[:NAMED_SYMBOLS])
    return shown + (f" and {len(symbols) - NAMED_SYMBOLS} more" if len(symbols) > NAMED_SYMBOLS else "")


@dataclass(frozen=True, slots=True)
class MissingPrices:
    """What to do where a held symbol lacks a return in the window: refuse, unless something else was asked for.

    `proxies`: symbol to the symbol whose returns stand in on the days without its own. `policy`: "error", or
    "drop_days" to leave out the days on which a return is still missing.
    """

    proxies: Mapping[str, str] = field(default_factory=dict)
    policy: str = "error"


def price_book(
    book: Book, as_of: date, window_days: int, matrix: PriceMatrix, missing: MissingPrices | None = None
) -> PricedBook:
    """The book at the close of `as_of`, with the `window_days` returns up to and including it.

    Its days are those on which anything in it or its benchmark has a price; one on which a part has none is a gap.
    Raises InsufficientHistoryError, AsOfError, ProxyError.
    """
    missing = missing or MissingPrices()
    days = matrix.trading_days(book.symbols, book.benchmark)
    last = _place_of(as_of, matrix.dates[days])
    window = days[max(0, last - window_days) : last + 1]
    prices = matrix.closes(book.symbols, window)
    _refuse_unpriced(book.symbols, prices[-1], as_of)
    returns, dates = simple_returns(prices), matrix.dates[window[1:]]
    warnings = _stand_in(returns, dates, book, missing.proxies, matrix.closes(list(missing.proxies.values()), window))
    if missing.policy == "drop_days":
        returns, dates, dropped = _without_gaps(returns, dates, window_days)
        warnings += dropped
    else:
        refuse_short_history(book.symbols, returns, window_days)
    values = np.array([float(quantity) for _, quantity in book.quantities]) * prices[-1]
    return PricedBook(
        symbols=book.symbols,
        values=values,
        returns=returns,
        dates=dates,
        pnl=scenario_pnl(returns, values),
        total=math.fsum([float(book.cash), *values.tolist()]),
        warnings=tuple(warnings),
    )


def value_book(book: Book, as_of: date, matrix: PriceMatrix) -> tuple[FloatArray, float]:
    """Each position's value at the close of `as_of`, and the book's with its cash; as price_book, without a window.

    Raises InsufficientHistoryError, AsOfError.
    """
    days = matrix.trading_days(book.symbols, book.benchmark)
    last = _place_of(as_of, matrix.dates[days])
    prices = matrix.closes(book.symbols, days[last : last + 1])[0]
    _refuse_unpriced(book.symbols, prices, as_of)
    values = np.array([float(quantity) for _, quantity in book.quantities]) * prices
    return values, math.fsum([float(book.cash), *values.tolist()])


def _refuse_unpriced(symbols: tuple[str, ...], prices: FloatArray, as_of: date) -> None:
    unpriced = [symbol for symbol, price in zip(symbols, prices, strict=True) if not np.isfinite(price)]
    if unpriced:
        raise InsufficientHistoryError(
            f"{', '.join(unpriced)} has no price on {as_of}: the book has no value then.",
            f"Import the price, or leave as_of out for the latest day on which all of {', '.join(symbols)} have one.",
            attr="as_of",
        )


def _stand_in(
    returns: FloatArray, dates: DateArray, book: Book, proxies: Mapping[str, str], prices: FloatArray
) -> list[str]:
    """Fills in place, from the stand-ins' `prices` (days + 1, proxies); returns what to say about it."""
    said = []
    for (symbol, proxy), closes in zip(proxies.items(), prices.T, strict=True):
        if symbol not in book.symbols:
            raise ProxyError(
                f"proxy names {symbol}, which {book.portfolio_id} does not hold.",
                f"Name one of {', '.join(book.symbols)}.",
                "proxy",
            )
        if np.isnan(closes).all():
            raise ProxyError(f"The proxy {proxy} has no price in the window.", f"Import prices of {proxy}.", "proxy")
        own = returns[:, book.symbols.index(symbol)]
        filled = np.isnan(own) & np.isfinite(simple_returns(closes[:, np.newaxis])[:, 0])
        own[filled] = simple_returns(closes[:, np.newaxis])[filled, 0]
        if filled.any():
            said.append(
                f"{filled.sum()} of {len(own)} returns of {symbol} are those of its proxy {proxy}: "
                f"{dates[filled][0]} to {dates[filled][-1]}"
            )
    return said


def _without_gaps(returns: FloatArray, dates: DateArray, window_days: int) -> tuple[FloatArray, DateArray, list[str]]:
    whole = np.asarray(np.isfinite(returns).all(axis=1))
    if whole.sum() < 2:
        raise InsufficientHistoryError(
            f"{whole.sum()} days of the window of {window_days} have a return of every position; expected at least 2.",
            "Import the missing prices, or name a proxy for the symbol with the short history.",
            attr="missing",
        )
    if whole.sum() == window_days:
        return returns, dates, []
    said = f"{whole.sum()} of {window_days} days are used: {len(whole) - whole.sum()} lack the return of a position"
    if (~whole).any():
        said += f" and were dropped, {dates[~whole][0]} to {dates[~whole][-1]}"
    return returns[whole], dates[whole], [said]


def _place_of(as_of: date, days: DateArray) -> int:
    row = int(np.searchsorted(days, np.datetime64(as_of)))
    if row == len(days) or days[row] != np.datetime64(as_of):
        span = f"{days[0]} to {days[-1]}" if len(days) else "there is none"
        raise AsOfError(
            f"Nothing in the book has a price on {as_of}.", f"Ask for a trading day with prices ({span}).", "as_of"
        )
    return row


def refuse_short_history(symbols: tuple[str, ...], returns: FloatArray, window_days: int) -> None:
    # One price day alone has no return, which is a day without any.
    missing = np.isnan(returns) if len(returns) else np.ones((1, len(symbols)), dtype=bool)
    # The returns in a row that end on the last day.
    have = np.where(missing.any(axis=0), missing[::-1].argmax(axis=0), len(returns))
    short = {symbol: int(count) for symbol, count in zip(symbols, have, strict=True) if count < window_days}
    if short:
        raise InsufficientHistoryError(
            f"A window of {window_days} returns was asked for; "
            + ", ".join(f"{symbol} has {count}" for symbol, count in short.items())
            + ".",
            f"Ask for window_days of {min(short.values())} or less, import older prices, name a proxy for the symbol, "
            'or ask for "missing": "drop_days".',
            attr="window_days",
        )

"""The days of a backtest: what was held at each close, its P&L through the window behind it, and on the day after.

A day's window, calendar and stand-ins are those that an analysis as of that day would use. Nothing after it is read,
but for the realized P&L itself: the next day's returns times what was held at the close before.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from apps.portfolios.bookings import Bookings, read_bookings
from apps.portfolios.kernels.valuation import simple_returns, value_history
from apps.portfolios.matrix import DateArray, FloatArray, PriceMatrix
from apps.risk.books import latest_common_date
from apps.risk.errors import AsOfError, InsufficientHistoryError, ProxyError
from apps.risk.kernels.rolling import rolling_pnl

# Days whose windows are in memory at once: 64 windows of 25,000 days are 13 MB.
DAYS_AT_A_TIME = 64


@dataclass(frozen=True, slots=True)
class Holdings:
    """`quantities` (days, symbols) at the closes of `dates` (days,), the days before those that are tested.

    `last` is the last day whose P&L is tested.
    """

    symbols: tuple[str, ...]
    dates: DateArray
    quantities: FloatArray
    last: np.datetime64

    @property
    def ever_held(self) -> list[str]:
        held = (self.quantities != 0).any(axis=0)
        return [symbol for symbol, is_held in zip(self.symbols, held, strict=True) if is_held]


@dataclass(frozen=True, slots=True)
class ForecastDay:
    """What one forecast is made from at the close of `closed_on`, and what came on the next day, `date`.

    `pnl` (days,) is the book's P&L through the window, oldest first; `realized` that of the same book on the day after.
    """

    closed_on: np.datetime64
    date: np.datetime64
    pnl: FloatArray
    realized: float


@dataclass(slots=True)
class Left:
    """What was passed over, as it is met: days by reason, the lengths of short windows, symbols with a stand-in."""

    nothing_held: int = 0
    missing_prices: int = 0
    shortened: list[int] = field(default_factory=list)
    stood_in: set[str] = field(default_factory=set)


def latest_day(portfolio_id: str, ledger_version: int, benchmark: str | None, matrix: PriceMatrix) -> date:
    """The latest day on which all that is held now has a price; for an empty book the last of its trading days."""
    bookings = read_bookings(portfolio_id, ledger_version)
    if bookings.held:
        return latest_common_date(bookings.held, benchmark, matrix)
    return matrix.dates[matrix.trading_days(bookings.symbols, benchmark)[-1]].item()


def read_holdings(inputs: dict[str, Any], matrix: PriceMatrix) -> Holdings:
    """What was held at the closes before each of the `test_days` days up to `as_of`, as the ledger stood then.

    With positions "current" it is on all days what is held now, or was at the close of the `as_of` that was asked for.
    Raises AsOfError.
    """
    bookings = read_bookings(inputs["portfolio_id"], inputs["ledger_version"])
    last = np.datetime64(inputs["as_of"])
    # What was first traded later has no say in which days are days.
    known = sorted({bookings.symbols[column] for column in bookings.column[bookings.traded_on <= last]})
    dates = matrix.dates[matrix.trading_days(known, inputs["benchmark"])]
    place = int(np.searchsorted(dates, last))
    if place == len(dates) or dates[place] != last or place == 0:
        raise AsOfError(
            f"{last} is no day with prices after another one.",
            f"Ask for a trading day after {dates[0]}, up to {dates[-1]}.",
            "as_of",
        )
    closes = dates[max(0, place - inputs["test_days"]) : place]
    if inputs["positions"] == "current":
        until = last if inputs["as_of_asked"] else np.datetime64("9999-12-31")
        now = _quantities(bookings, np.array([until]))
        return Holdings(bookings.symbols, closes, np.repeat(now, len(closes), axis=0), last)
    return Holdings(bookings.symbols, closes, _quantities(bookings, closes), last)


def _quantities(bookings: Bookings, closes: DateArray) -> FloatArray:
    """(closes, symbols): all that was traded up to and on the day of each close."""
    row = np.searchsorted(closes, bookings.traded_on)
    done = row < len(closes)
    no_prices = np.full((len(closes), len(bookings.symbols)), np.nan)
    traded = (row[done], bookings.column[done], bookings.quantity[done], bookings.price[done])
    return value_history(no_prices, *traded, initial_cash=0.0).quantities


def tested_days(holdings: Holdings, inputs: dict[str, Any], matrix: PriceMatrix, left: Left) -> Iterator[ForecastDay]:
    """Each day on which something was held, oldest first; counts into `left` what it passes over.

    Raises InsufficientHistoryError, ProxyError.
    """
    _check_proxies(holdings, inputs, matrix)
    is_held = holdings.quantities != 0
    starts = np.flatnonzero((is_held[1:] != is_held[:-1]).any(axis=1)) + 1
    for rows in np.split(np.arange(len(holdings.dates)), starts):
        if not is_held[rows[0]].any():
            left.nothing_held += len(rows)
            continue
        book = _Book.of(holdings, is_held[rows[0]], inputs, matrix)
        for some in np.split(rows, range(DAYS_AT_A_TIME, len(rows), DAYS_AT_A_TIME)):
            yield from book.days(holdings.dates[some], holdings.quantities[np.ix_(some, book.columns)], left)


@dataclass(frozen=True, slots=True)
class _Book:
    """The same symbols over some days; `trading_rows` (days,) are rows of the matrix, the days of these symbols."""

    symbols: list[str]
    columns: npt.NDArray[np.intp]
    trading_rows: npt.NDArray[np.intp]
    last: np.datetime64
    inputs: dict[str, Any]
    matrix: PriceMatrix

    @classmethod
    def of(
        cls, holdings: Holdings, is_held: npt.NDArray[np.bool_], inputs: dict[str, Any], matrix: PriceMatrix
    ) -> Self:
        columns = np.flatnonzero(is_held)
        symbols = [holdings.symbols[column] for column in columns]
        return cls(symbols, columns, matrix.trading_days(symbols, inputs["benchmark"]), holdings.last, inputs, matrix)

    def days(self, closes: DateArray, quantities: FloatArray, left: Left) -> Iterator[ForecastDay]:
        dates = self.matrix.dates[self.trading_rows]
        place = np.searchsorted(dates, closes)
        # A close of another calendar is no day of this book, and the last one has no day after it yet.
        own = (place + 1 < len(dates)) & (dates[np.minimum(place, len(dates) - 1)] == closes)
        own[own] = dates[place[own] + 1] <= self.last
        if own.any():
            yield from self._own_days(dates, place[own], quantities[own], left)

    def _own_days(
        self, dates: DateArray, place: npt.NDArray[np.intp], quantities: FloatArray, left: Left
    ) -> Iterator[ForecastDay]:
        """`place` (days,) are neighbouring trading days; before the first price the returns are missing."""
        window = self.inputs["window_days"]
        before = max(0, int(place[0]) - window)
        rows = self.trading_rows[before : place[-1] + 2]
        prices = self.matrix.closes(self.symbols, rows)
        own = simple_returns(prices)
        known = own[:-1].copy()
        self._stand_in(known, rows[:-1], left)
        known = np.concatenate([np.full((before + window - int(place[0]), len(self.symbols)), np.nan), known])
        values = quantities * prices[place - before]
        pnl = rolling_pnl(known, values, window)
        realized = rolling_pnl(own[place[0] - before :], values, 1)[:, 0]
        for row, at in enumerate(place):
            whole = np.isfinite(pnl[row])
            if self.inputs["missing"] == "error":
                self._refuse_gaps(dates[at : at + 2], prices[at - before :][:2], known[row : row + window])
            elif whole.sum() < 2 or not np.isfinite(realized[row]):
                left.missing_prices += 1
                continue
            elif not whole.all():
                left.shortened.append(int(whole.sum()))
            yield ForecastDay(dates[at], dates[at + 1], pnl[row][whole], float(realized[row]))

    def _stand_in(self, returns: FloatArray, rows: npt.NDArray[np.intp], left: Left) -> None:
        """Fills in place the missing returns of symbols with a proxy; `rows` (returns + 1,) of the matrix."""
        for symbol, proxy in sorted(self.inputs["proxy"].items()):
            if symbol not in self.symbols:
                continue
            own, other = returns[:, self.symbols.index(symbol)], simple_returns(self.matrix.closes([proxy], rows))[:, 0]
            filled = np.isnan(own) & np.isfinite(other)
            own[filled] = other[filled]
            if filled.any():
                left.stood_in.add(symbol)

    def _refuse_gaps(self, days: DateArray, prices: FloatArray, known: FloatArray) -> None:
        """`days` and `prices` (2, ...) are those of the forecast's close and of the day after it."""
        for day, closes in zip(days, prices, strict=True):
            if np.isnan(closes).any():
                without = ", ".join(np.array(self.symbols)[np.isnan(closes)])
                raise InsufficientHistoryError(
                    f"{without} was held and has no price on {day}.",
                    'Import the price, or ask for "missing": "drop_days".',
                    "missing",
                )
        gaps = np.isnan(known)
        if not gaps.any():
            return
        have = np.where(gaps.any(axis=0), gaps[::-1].argmax(axis=0), len(known))
        short = [f"{name} has {count}" for name, count in zip(self.symbols, have, strict=True) if count < len(known)]
        shorter = f"window_days of {have.min()} or less, or " if have.min() >= 2 else ""
        raise InsufficientHistoryError(
            f"A window of {len(known)} returns was asked for; at the close of {days[0]} {', '.join(short)}.",
            f"Ask for {shorter}fewer test_days, import older prices, name a proxy for the symbol, "
            'or ask for "missing": "drop_days".',
            "window_days",
        )


def _check_proxies(holdings: Holdings, inputs: dict[str, Any], matrix: PriceMatrix) -> None:
    for symbol, proxy in inputs["proxy"].items():
        if symbol not in holdings.ever_held:
            raise ProxyError(
                f"proxy names {symbol}, which was not held on the tested days.",
                f"Name one of {', '.join(holdings.ever_held)}.",
                "proxy",
            )
        if proxy not in matrix.symbols:
            raise ProxyError(f"The proxy {proxy} has no price.", f"Import prices of {proxy}.", "proxy")

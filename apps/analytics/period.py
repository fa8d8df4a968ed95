"""A book through a period: its values, holdings and trades on each of its trading days."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from apps.analytics.errors import PeriodError
from apps.portfolios.bookings import Bookings, read_bookings
from apps.portfolios.histories import History, solvent_history
from apps.portfolios.kernels.valuation import value_history
from apps.portfolios.matrix import DateArray, FloatArray, PriceMatrix
from apps.portfolios.models import Portfolio

IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Period:
    """Day 0 is the period's start: what was earned is earned after its close.

    `dates`, `values`, `net_flows` (days + 1,); `returns` (days,), row t ending on dates[t + 1]; `prices` and
    `quantities` (days + 1, symbols) at each close; the trades' arrays (trades,) are those of days 1 on, by their row of
    `dates` and column of `symbols`. `ended` is whether the book's value came to an end on the last day.
    """

    dates: DateArray
    values: FloatArray
    net_flows: FloatArray
    returns: FloatArray
    symbols: tuple[str, ...]
    prices: FloatArray
    quantities: FloatArray
    trade_day: IntArray
    trade_symbol: IntArray
    trade_quantity: FloatArray
    trade_price: FloatArray
    ended: bool

    @property
    def start(self) -> np.datetime64:
        day: np.datetime64 = self.dates[0]
        return day

    @property
    def ends(self) -> DateArray:
        return self.dates[1:]


def read_period(inputs: dict[str, Any], matrix: PriceMatrix) -> Period:
    """The days that end after `start_date`, up to and including `end_date`. Raises PeriodError where there is none."""
    portfolio = Portfolio.objects.get(pk=inputs["portfolio_id"])
    history = solvent_history(portfolio, inputs["ledger_version"], matrix, inputs["calendar"])
    rows = _rows(history, inputs)
    bookings = read_bookings(portfolio.id, inputs["ledger_version"])
    return _period(history, bookings, matrix, rows)


def _rows(history: History, inputs: dict[str, Any]) -> slice:
    """Of the history's days, the period's with its start."""
    ends = history.dates[1:]
    chosen = (ends > np.datetime64(inputs["start_date"])) & (ends <= np.datetime64(inputs["end_date"]))
    if not chosen.any():
        words = f"{inputs['portfolio_id']} has no return between {inputs['start_date']} and {inputs['end_date']}."
        raise PeriodError(words, _remedy(history))
    days = np.flatnonzero(chosen)
    return slice(int(days[0]), int(days[-1]) + 2)


def _remedy(history: History) -> str:
    known = f"{history.dates[0]} to {history.dates[-1]}"
    if history.values[-1] > 0:
        return f"Ask within its history, {known}, for more than one trading day."
    return f"Its history, {known}, ends at a value of {history.values[-1]:.2f}: ask within it, or pay cash in before."


def _period(history: History, bookings: Bookings, matrix: PriceMatrix, rows: slice) -> Period:
    prices = matrix.closes(bookings.symbols, np.searchsorted(matrix.dates, history.dates))
    day = np.searchsorted(history.dates, bookings.traded_on)
    known = day < len(history.dates)
    trades = (day[known], bookings.column[known], bookings.quantity[known], bookings.price[known])
    quantities = value_history(prices, *trades, initial_cash=0.0).quantities
    of_period = (trades[0] > rows.start) & (trades[0] < rows.stop)
    return Period(
        history.dates[rows],
        history.values[rows],
        history.net_flows[rows],
        history.returns[rows.start : rows.stop - 1],
        bookings.symbols,
        prices[rows],
        quantities[rows],
        trades[0][of_period] - rows.start,
        trades[1][of_period],
        trades[2][of_period],
        trades[3][of_period],
        ended=bool(history.values[rows][-1] <= 0),
    )


def closes_of(symbol: str, dates: DateArray, matrix: PriceMatrix) -> FloatArray:
    """A symbol's closes on these days, (days,), NaN where there is none."""
    return matrix.closes([symbol], np.searchsorted(matrix.dates, dates))[:, 0]


def gap_of(symbol: str, closes: FloatArray, dates: DateArray) -> str | None:
    """In words, the days on which the symbol has no price; None where it has all."""
    missing = dates[np.isnan(closes)]
    if not len(missing):
        return None
    return f"{symbol} has no price on {len(missing)} of the period's {len(dates)} days, the first {missing[0]}"

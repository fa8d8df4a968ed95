"""How far a portfolio has fallen since a deployment began to trade it."""

import logging
from collections.abc import Sequence
from datetime import date

import numpy as np

from apps.portfolios.bookings import Bookings, read_bookings
from apps.portfolios.kernels.valuation import time_weighted_returns, value_history
from apps.portfolios.matrix import FloatArray, PriceMatrix, load_current_matrix
from apps.portfolios.models import Portfolio, PortfolioReturn

logger = logging.getLogger(__name__)


def fall_since(portfolio: Portfolio, first: date, until: date) -> float:
    """The deepest fall of the returns after `first` and up to `until`, a fraction.

    By the stored history; where that is behind or cannot be made, as where something held lacks a close in the middle,
    by one with the last closes carried on: a loss must not hide behind a missing price.
    """
    span = PortfolioReturn.objects.filter(portfolio=portfolio.pk, date__gt=first, date__lte=until).order_by("date")
    stored = dict(span.values_list("date", "value"))
    if portfolio.history_ledger_version == portfolio.ledger_version and (first == until or until in stored):
        return deepest_fall(list(stored.values()))
    return deepest_fall(_carried_returns(portfolio, load_current_matrix(), first, until).tolist())


def deepest_fall(returns: Sequence[float]) -> float:
    """Of 1 compounded by the simple daily `returns` below its highest value before, as a fraction of that."""
    wealth = np.cumprod([1.0, *(1.0 + each for each in returns)])
    return float((1.0 - wealth / np.maximum.accumulate(wealth)).max())


def _carried_returns(portfolio: Portfolio, matrix: PriceMatrix, first: date, until: date) -> FloatArray:
    """(days,) up to the first one of no value; none where a price that something was never given is needed."""
    start, end = (int(np.searchsorted(matrix.dates, np.datetime64(day))) for day in (first, until))
    values, flows = _carried_values(portfolio, read_bookings(portfolio.pk, portfolio.ledger_version), matrix, end + 1)
    values, flows = values[start:], flows[start:]
    worthless = np.flatnonzero(values <= 0)
    last = int(worthless[0]) + 1 if len(worthless) else len(values)
    if not np.isfinite(values[:last]).all():
        logger.warning("The drawdown of %s is not known: something that it held never had a price", portfolio.pk)
        return np.empty(0)
    return time_weighted_returns(values[:last], flows[:last])


def _carried_values(
    portfolio: Portfolio, bookings: Bookings, matrix: PriceMatrix, days: int
) -> tuple[FloatArray, FloatArray]:
    """Values and flows, (days,), of the matrix' first days."""
    dates = matrix.dates[:days]
    closes = _carried(matrix.closes(bookings.symbols, np.arange(days)))
    traded, flowed = np.searchsorted(dates, bookings.traded_on), np.searchsorted(dates, bookings.flowed_on)
    now, paid = traded < days, flowed < days
    valued = value_history(
        closes,
        traded[now],
        bookings.column[now],
        bookings.quantity[now],
        bookings.price[now],
        float(portfolio.initial_cash),
        flowed[paid],
        bookings.flow[paid],
    )
    return valued.values, valued.net_flows


def _carried(closes: FloatArray) -> FloatArray:
    """(days, symbols) with the last known close in each gap; NaN before the first."""
    rows = np.arange(len(closes))[:, np.newaxis]
    last = np.maximum.accumulate(np.where(np.isfinite(closes), rows, 0), axis=0)
    return np.take_along_axis(closes, last, axis=0)

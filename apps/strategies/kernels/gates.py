"""Figures that a backtest has to pass before its strategy is deployed.

Returns are simple daily ones of the book's value; 252 days a year. Sharpe ratio, returns, volatility and drawdown are
those of apps.analytics.kernels.performance, so a gate and a report never differ. A figure that a backtest does not have
is None, never NaN or infinity.

Sources of the others: U.S. SEC Form N-1A, item 13, instruction 4 (turnover, there by the lesser of purchases and sales,
here by half their sum, which does not ignore a book that only buys); Kissell (2013), The Science of Algorithmic Trading
and Portfolio Management, ch. 3 (participation as a share of the average daily volume).
"""

from dataclasses import dataclass

import numpy as np

from apps.analytics.kernels.performance import measure
from apps.risk.kernels.measures import TRADING_DAYS_PER_YEAR
from apps.strategies.kernels.rebalancing import FloatArray
from apps.strategies.kernels.simulation import Simulated

MAX_PARTICIPATION = 0.1

_TOO_SHORT = "one day only: a return needs two"
_NO_YEARS = "one day only: a year's turnover needs two"
_RUINED = "the mean value of the book is not above zero"
_NO_CAPACITY = "no order in a symbol whose average daily volume is known"
_MEASURES = ("sharpe", "max_drawdown", "total_return", "annual_return", "annual_volatility")


@dataclass(frozen=True, slots=True)
class GateFigures:
    """Fractions, but for `sharpe` (of a year), `annual_turnover` (times a year) and `capacity` (currency).

    `max_drawdown` is positive. `reasons` says why for each that is None, and has no other keys.
    """

    sharpe: float | None
    max_drawdown: float | None
    annual_turnover: float | None
    capacity: float | None
    total_return: float | None
    annual_return: float | None
    annual_volatility: float | None
    reasons: dict[str, str]


def gate_figures(
    simulated: Simulated, volumes: FloatArray | None = None, max_participation: float = MAX_PARTICIPATION
) -> GateFigures:
    """All of them, each as its own function has it; `volumes` and `max_participation` as `capacity` takes them."""
    measures, reasons = _measured(simulated)
    turnover = annual_turnover(simulated)
    room = None if volumes is None else capacity(simulated, volumes, max_participation)
    if turnover is None:
        reasons["annual_turnover"] = _NO_YEARS if len(simulated.values) < 2 else _RUINED
    if room is None:
        reasons["capacity"] = _NO_CAPACITY
    return GateFigures(annual_turnover=turnover, capacity=room, reasons=reasons, **measures)


def daily_returns(simulated: Simulated) -> FloatArray:
    """Simple returns of the value, (days - 1,), up to and with the first that leaves nothing: none follows that."""
    values = simulated.values
    ruined = np.flatnonzero(values <= 0)
    last = int(ruined[0]) + 1 if len(ruined) else len(values)
    return np.asarray(values[1:last] / values[: last - 1] - 1.0)


def sharpe(simulated: Simulated) -> float | None:
    """Mean daily return over its standard deviation (n - 1), x sqrt(252), no risk-free rate.

    None for fewer than 2 returns, and for returns that do not vary. Source: Sharpe (1994), The Sharpe Ratio.
    """
    return _measured(simulated)[0]["sharpe"]


def max_drawdown(simulated: Simulated) -> float | None:
    """Deepest fall below an earlier peak, the first value among them: a positive fraction of it, above 1 where more
    than everything was lost, 0 without a fall. None for a single day."""
    return _measured(simulated)[0]["max_drawdown"]


def total_return(simulated: Simulated) -> float | None:
    """Last value / first value - 1, to the first day that leaves nothing. None for a single day."""
    return _measured(simulated)[0]["total_return"]


def annual_return(simulated: Simulated) -> float | None:
    """(1 + total_return)^(252 / returns) - 1. None for a single day, and where more than everything was lost."""
    return _measured(simulated)[0]["annual_return"]


def annual_volatility(simulated: Simulated) -> float | None:
    """Standard deviation (n - 1) of the daily returns x sqrt(252). None for fewer than 2 returns."""
    return _measured(simulated)[0]["annual_volatility"]


def annual_turnover(simulated: Simulated) -> float | None:
    """Sum of traded notional / 2 / mean value / years, years = (days - 1) / 252, as annual_return counts them.

    None for a single day, and where the mean value is not above zero.
    """
    years = (len(simulated.values) - 1) / TRADING_DAYS_PER_YEAR
    mean = float(simulated.values.mean())
    if years == 0 or mean <= 0:
        return None
    return float(simulated.traded_notional.sum()) / 2 / mean / years


def capacity(simulated: Simulated, volumes: FloatArray, max_participation: float = MAX_PARTICIPATION) -> float | None:
    """The largest equity, currency, at which no order is above `max_participation` of its symbol's daily volume.

    Minimum over the orders of equity x max_participation x volume / |quantity|, equity that of the day of the decision:
    quantities grow in proportion to it. `volumes` (symbols,) average, units a day, NaN where unknown; orders in those
    symbols say nothing. None where no other order was made. Raises ValueError for a volume below 0, one of another
    shape, or a participation that is not above 0 and at most 1.
    """
    _check_capacity(simulated, volumes, max_participation)
    counted = (simulated.orders != 0) & ~np.isnan(volumes)
    if not counted.any():
        return None
    rows, columns = np.nonzero(counted)
    room = simulated.values[rows] * max_participation * volumes[columns] / np.abs(simulated.orders[rows, columns])
    return float(room.min())


def _measured(simulated: Simulated) -> tuple[dict[str, float | None], dict[str, str]]:
    """The figures that are measures of the returns, and why those that are None are."""
    returns = daily_returns(simulated)
    if len(returns) == 0:
        return dict.fromkeys(_MEASURES), dict.fromkeys(_MEASURES, _TOO_SHORT)
    found = measure(returns)
    figures = {name: found.metrics[name] for name in _MEASURES}
    fall = figures["max_drawdown"]
    figures["max_drawdown"] = None if fall is None else abs(fall)
    return figures, {name: words for name, words in found.reasons.items() if name in _MEASURES}


def _check_capacity(simulated: Simulated, volumes: FloatArray, max_participation: float) -> None:
    if volumes.shape != simulated.orders.shape[1:]:
        raise ValueError(f"volumes has shape {volumes.shape}; expected {simulated.orders.shape[1:]}, one a symbol")
    if (volumes < 0).any():
        raise ValueError(f"the least volume is {np.nanmin(volumes)}; expected at least 0 units a day, NaN if unknown")
    if not 0 < max_participation <= 1:
        raise ValueError(f"max_participation is {max_participation}; expected above 0 and at most 1, as in 0.1")

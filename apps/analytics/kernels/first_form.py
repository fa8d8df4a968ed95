"""Five measures in the arithmetic of the results' first form, whose snapshots are to come out again to the bit.

Their definitions are those of measures/; there sums and powers are taken in another order, which moves the last digit.
"""

import math
from collections.abc import Callable

import numpy as np

from apps.analytics.kernels.facts.rows import FloatArray
from apps.risk.kernels.measures import TRADING_DAYS_PER_YEAR

Metrics = dict[str, float | None]

_ROOT_YEAR = math.sqrt(TRADING_DAYS_PER_YEAR)


def in_first_form(
    metrics: Metrics, returns: FloatArray, benchmark: FloatArray | None, risk_free_rate: float
) -> Metrics:
    """`metrics`, of `performance.measure` for the same arguments, with those five put in place; None stays None."""
    daily_rate: float = (1.0 + risk_free_rate) ** (1 / TRADING_DAYS_PER_YEAR) - 1.0
    excess = returns - daily_rate
    of_benchmark = excess if benchmark is None else benchmark - daily_rate
    known = {name: value for name, value in metrics.items() if value is not None}
    for name, formula in _FORMULAS.items():
        if name in known:
            known[name] = formula(known, excess, of_benchmark)
    return {name: known.get(name) for name in metrics}


def _annual_return(known: dict[str, float], excess: FloatArray, _: FloatArray) -> float:
    return float((1.0 + known["total_return"]) ** (TRADING_DAYS_PER_YEAR / len(excess)) - 1.0)


def _calmar(known: dict[str, float], _: FloatArray, __: FloatArray) -> float:
    return known["annual_return"] / abs(known["max_drawdown"])


def _sharpe(_: dict[str, float], excess: FloatArray, __: FloatArray) -> float:
    return float(excess.mean()) / float(np.std(excess, ddof=1)) * _ROOT_YEAR


def _sortino(_: dict[str, float], excess: FloatArray, __: FloatArray) -> float:
    below = np.minimum(excess, 0.0)
    return float(excess.mean()) / math.sqrt(float(np.mean(below * below))) * _ROOT_YEAR


def _alpha(known: dict[str, float], excess: FloatArray, of_benchmark: FloatArray) -> float:
    growth = 1.0 + float(excess.mean()) - known["beta"] * float(of_benchmark.mean())
    return float(growth**TRADING_DAYS_PER_YEAR - 1.0)


# In this order: calmar divides what annual_return has come to.
_FORMULAS: dict[str, Callable[[dict[str, float], FloatArray, FloatArray], float]] = {
    "annual_return": _annual_return,
    "calmar": _calmar,
    "sharpe": _sharpe,
    "sortino": _sortino,
    "alpha": _alpha,
}

"""How well books did: every measure of series of simple daily returns, a fraction each, for one or for many.

Definitions are those of the public contract, section 7, and of docs/metrics.md: 252 days a year, standard deviations
with n - 1, daily risk-free rate (1 + annual)^(1/252) - 1. The days are summed up once (facts/), block by block of
portfolios; each measure is then a formula over those sums (measures/), with its source beside it.

A measure that a series does not have (the Sharpe ratio of one return) is None, never NaN or infinity, with a reason.
"""

import math
from dataclasses import dataclass

import numpy as np

from apps.analytics.kernels.drawdowns import START, Drawdown, drawdown_table
from apps.analytics.kernels.facts.known import Facts, Series, gather
from apps.analytics.kernels.facts.periods import DateArray, calendar
from apps.analytics.kernels.facts.rows import FloatArray
from apps.analytics.kernels.measures import FIGURES
from apps.analytics.kernels.months import monthly_returns
from apps.analytics.kernels.reasons import reasons_for
from apps.risk.kernels.measures import TRADING_DAYS_PER_YEAR

__all__ = [
    "NAMES",
    "START",
    "AllMeasures",
    "Drawdown",
    "Measures",
    "drawdown_table",
    "measure",
    "measure_all",
    "monthly_returns",
]

# The contract's own come first, in its order; all others follow by subject.
_FIRST = (
    *("total_return", "annual_return", "annual_volatility", "sharpe", "sortino", "calmar", "max_drawdown"),
    *("best_day", "worst_day", "var_95", "cvar_95", "alpha", "beta"),
)
NAMES = (*_FIRST, *(name for name in FIGURES if name not in _FIRST))


@dataclass(frozen=True, slots=True)
class Measures:
    """`metrics` by name; `reasons` says why for each that is None, and has no other keys."""

    metrics: dict[str, float | None]
    reasons: dict[str, str]


@dataclass(frozen=True, slots=True)
class AllMeasures:
    """`metrics` by name, (portfolios,), NaN where there is none; `reasons` of each portfolio says why, as Measures'."""

    metrics: dict[str, FloatArray]
    reasons: list[dict[str, str]]

    def of(self, portfolio: int) -> Measures:
        """One of them, as `measure` would have it."""
        values = {name: float(column[portfolio]) for name, column in self.metrics.items()}
        return Measures(
            {name: None if math.isnan(value) else value for name, value in values.items()}, self.reasons[portfolio]
        )


def measure(
    returns: FloatArray,
    benchmark: FloatArray | None = None,
    risk_free_rate: float = 0.0,
    ends: DateArray | None = None,
) -> Measures:
    """All measures of one series by name, with a reason for each that it does not have: `measure_all` of one portfolio.

    `returns` (days,), `benchmark` (days,) over the same days or None, `risk_free_rate` annual, a fraction, `ends`
    (days,) the date of each return. Raises ValueError as measure_all does.
    """
    if returns.ndim != 1 or len(returns) == 0:
        raise ValueError(f"returns has shape {returns.shape}; expected (days,) with at least one day")
    if benchmark is not None and benchmark.ndim != 1:
        raise ValueError(f"benchmark has shape {benchmark.shape}; expected (days,)")
    return measure_all(returns[:, None], benchmark, risk_free_rate, ends).of(0)


def measure_all(
    returns: FloatArray,
    benchmark: FloatArray | None = None,
    risk_free_rate: float = 0.0,
    ends: DateArray | None = None,
) -> AllMeasures:
    """All measures of many series over the same days; each as `measure` has it alone, to the bit.

    `returns` (days, portfolios), `benchmark` (days,) for all or (days, portfolios) or None, `risk_free_rate` annual,
    a fraction, `ends` (days,) the date of each return, without which measures of months and years are missing.
    A return that is NaN or infinite makes all measures of its series missing, one of the benchmark, or a benchmark of
    other length, those beside it. Raises ValueError for shapes that do not fit otherwise, an empty series, dates out
    of order, a rate of -100 % or less.
    """
    _check(returns, benchmark, risk_free_rate, ends)
    known = gather(_series(returns, benchmark, risk_free_rate, ends))
    metrics = _figures(known)
    return AllMeasures(dict(zip(NAMES, metrics, strict=True)), reasons_for(known, NAMES, metrics))


@np.errstate(all="ignore")
def _figures(known: Facts) -> FloatArray:
    """(measures, portfolios), in the order of NAMES; NaN where a series has no such figure."""
    metrics = np.empty((len(NAMES), len(known.usable)))
    for row, name in enumerate(NAMES):
        metrics[row] = FIGURES[name].formula(known)
    metrics[:, ~known.usable] = np.nan
    metrics[~np.isfinite(metrics)] = np.nan
    return metrics


def _series(returns: FloatArray, benchmark: FloatArray | None, risk_free_rate: float, ends: DateArray | None) -> Series:
    daily_rate: float = (1.0 + risk_free_rate) ** (1 / TRADING_DAYS_PER_YEAR) - 1.0
    dates = None if ends is None else calendar(ends.astype("datetime64[D]"))
    if benchmark is None:
        return Series(returns, None, risk_free_rate, daily_rate, dates)
    if len(benchmark) != len(returns):
        words = f"the benchmark has {len(benchmark)} days, the returns have {len(returns)}"
        return Series(returns, None, risk_free_rate, daily_rate, dates, words)
    columns = benchmark[:, None] if benchmark.ndim == 1 else benchmark
    return Series(returns, columns, risk_free_rate, daily_rate, dates)


def _check(returns: FloatArray, benchmark: FloatArray | None, risk_free_rate: float, ends: DateArray | None) -> None:
    if returns.ndim != 2 or returns.size == 0:
        raise ValueError(f"returns has shape {returns.shape}; expected (days, portfolios) with at least one of each")
    if benchmark is not None and benchmark.shape[1:] not in ((), (returns.shape[1],)):
        raise ValueError(f"benchmark has shape {benchmark.shape}; expected (days,) or (days, {returns.shape[1]})")
    if not (math.isfinite(risk_free_rate) and risk_free_rate > -1):
        raise ValueError(f"risk_free_rate is {risk_free_rate}; expected an annual fraction above -1, as in 0.02")
    if ends is not None:
        _check_dates(ends, len(returns))


def _check_dates(ends: DateArray, days: int) -> None:
    if ends.shape != (days,) or ends.dtype.kind != "M" or np.isnat(ends).any():
        raise ValueError(f"ends has shape {ends.shape} and type {ends.dtype}; expected {days} dates, none missing")
    disorder = np.flatnonzero(ends[1:] <= ends[:-1])
    if len(disorder):
        day = int(disorder[0]) + 1
        raise ValueError(f"ends[{day}] is {ends[day]}, not after {ends[day - 1]}; expected ascending dates")

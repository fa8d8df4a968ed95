"""How well a book did: measures of one series of simple daily returns, a fraction each, shape (days,).

Definitions are those of the public contract, section 7: 252 days a year, standard deviations with n - 1, daily
risk-free rate (1 + annual)^(1/252) - 1. Excess is the return less that rate.
Sources: Sharpe (1994), The Sharpe Ratio, J. Portfolio Management 21; Sortino & Price (1994), Performance Measurement
in a Downside Risk Framework, J. Investing 3 (shortfall over all n days); Young (1991), Calmar Ratio, Futures 20;
Jensen (1968), The Performance of Mutual Funds, J. Finance 23 (alpha); Bacon (2008), Practical Portfolio Performance
Measurement and Attribution, 2nd ed., ch. 4.

A measure that a series does not have (the Sharpe ratio of one return) is None, never NaN or infinity; `measure` says
why. ValueError is for what is no series at all: wrong shape, nothing in it, NaN or infinity.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from apps.risk.kernels.historical import expected_shortfall, value_at_risk
from apps.risk.kernels.measures import TRADING_DAYS_PER_YEAR

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer]

START = -1
TAIL_CONFIDENCE = 0.95

# A close over the close before carries an error of about one eps, so a constant rate of growth comes out with returns
# that differ by some of them. Their spread is rounding, and dividing by it would make ratios of 1e15.
_ROUNDING_SPREAD = 8 * float(np.finfo(np.float64).eps)

_OUT_OF_RANGE = "outside the range of a number: the returns are too extreme"


@dataclass(frozen=True, slots=True)
class Drawdown:
    """A fall below an earlier peak. Days are rows of the series; START (-1) is the start, before the first return.

    `recovery` is the first day back at the peak or above, None while there is none. `depth` is negative, a fraction of
    the peak. `days` are trading days from the peak to the recovery, or to the end of the series.
    """

    peak: int
    trough: int
    recovery: int | None
    depth: float
    days: int


@dataclass(frozen=True, slots=True)
class Measures:
    """`metrics` under the contract's names; `reasons` says why for each that is None, and has no other keys."""

    metrics: dict[str, float | None]
    reasons: dict[str, str]


# Numbers near the end of a float's range overflow on the way: they end as None with a reason, not as a warning.
@np.errstate(over="ignore", invalid="ignore")
def measure(returns: FloatArray, benchmark: FloatArray | None = None, risk_free_rate: float = 0.0) -> Measures:
    """All measures of section 7's result by name, with a reason for each that this series does not have.

    `returns` (days,), `benchmark` (days,) over the same days or None, `risk_free_rate` annual, a fraction.
    Raises ValueError for shapes that do not fit, an empty series, NaN or infinity, a rate of -100 % or less.
    """
    _check_series("returns", returns)
    metrics: dict[str, float | None] = {
        "total_return": total_return(returns),
        "annual_return": annual_return(returns),
        "annual_volatility": annual_volatility(returns),
        "sharpe": sharpe(returns, risk_free_rate),
        "sortino": sortino(returns, risk_free_rate),
        "calmar": calmar(returns),
        "max_drawdown": max_drawdown(returns),
        "best_day": best_day(returns),
        "worst_day": worst_day(returns),
        "var_95": value_at_risk(returns, TAIL_CONFIDENCE),
        "cvar_95": _finite(expected_shortfall(returns, TAIL_CONFIDENCE)),
        "alpha": None if benchmark is None else alpha(returns, benchmark, risk_free_rate),
        "beta": None if benchmark is None else beta(returns, benchmark),
    }
    missing = [name for name, value in metrics.items() if value is None]
    causes = _causes(returns, benchmark, risk_free_rate) if missing else []
    return Measures(metrics, {name: _reason(name, causes) for name in missing})


def total_return(returns: FloatArray) -> float | None:
    """(1 + r_1) ... (1 + r_n) - 1, a fraction. None where that is too large for a float."""
    _check_series("returns", returns)
    return _finite(_growth(returns)[-1] - 1.0)


def annual_return(returns: FloatArray) -> float | None:
    """(1 + total_return)^(252 / n) - 1, a fraction a year.

    None where more than everything was lost (no rate compounds to that), or where it is too large for a float.
    """
    total = total_return(returns)
    return None if total is None else _compounded(1.0 + total, TRADING_DAYS_PER_YEAR / len(returns))


def annual_volatility(returns: FloatArray) -> float | None:
    """Standard deviation (n - 1) x sqrt(252), a fraction a year. None for one return."""
    _check_series("returns", returns)
    if len(returns) < 2:
        return None
    return _finite(_standard_deviation(returns) * math.sqrt(TRADING_DAYS_PER_YEAR))


def sharpe(returns: FloatArray, risk_free_rate: float = 0.0) -> float | None:
    """Mean excess return over its standard deviation (n - 1) x sqrt(252). None for one return, or zero volatility."""
    excess = _excess(returns, risk_free_rate)
    if len(excess) < 2:
        return None
    return _annual_ratio(float(excess.mean()), _standard_deviation(excess))


def sortino(returns: FloatArray, risk_free_rate: float = 0.0) -> float | None:
    """Mean excess return over the root of its mean squared shortfall below zero, over all n days, x sqrt(252).

    The risk-free rate is taken off both above and below the line. None where no day fell short: there is no
    downside to divide by.
    """
    excess = _excess(returns, risk_free_rate)
    return _annual_ratio(float(excess.mean()), _shortfall(excess))


def calmar(returns: FloatArray) -> float | None:
    """Annual return over the absolute maximum drawdown. None without a drawdown, or without an annual return."""
    annual, depth = annual_return(returns), max_drawdown(returns)
    if annual is None or depth is None or depth == 0:
        return None
    return _finite(annual / abs(depth))


def max_drawdown(returns: FloatArray) -> float | None:
    """Deepest fall below an earlier peak, a fraction of that peak, negative; 0 without one. The start is a peak."""
    _check_series("returns", returns)
    growth = _growth(returns)
    if not np.isfinite(growth).all():
        return None
    return float(np.min(growth / np.maximum.accumulate(growth) - 1.0))


def drawdown_table(returns: FloatArray, count: int = 5) -> list[Drawdown]:
    """The `count` deepest drawdowns, deepest first, of equal depth the earlier first. Empty where none was.

    Each runs from the last day at a peak to the first day back at it; the trough is its first lowest day. A growth
    that is too large for a float has no table: empty. Raises ValueError for a bad series or a count below 1.
    """
    _check_series("returns", returns)
    if count < 1:
        raise ValueError(f"count is {count}; expected at least 1")
    growth = _growth(returns)
    if not np.isfinite(growth).all():
        return []
    under = growth < np.maximum.accumulate(growth)
    edges = np.flatnonzero(np.diff(under, append=False))
    falls = [_drawdown(growth, int(peak), int(last)) for peak, last in edges.reshape(-1, 2)]
    return sorted(falls, key=lambda fall: (fall.depth, fall.peak))[:count]


def best_day(returns: FloatArray) -> float:
    """The largest daily return, a fraction."""
    _check_series("returns", returns)
    return float(returns.max())


def worst_day(returns: FloatArray) -> float:
    """The smallest daily return, a fraction."""
    _check_series("returns", returns)
    return float(returns.min())


def beta(returns: FloatArray, benchmark: FloatArray) -> float | None:
    """Slope of the regression of `returns` on `benchmark`, both simple daily returns: covariance over variance.

    A constant risk-free rate leaves it as it is. None for one return, or a benchmark that does not vary.
    """
    _check_pair(returns, benchmark)
    if len(returns) < 2 or _is_constant(benchmark):
        return None
    deviation = benchmark - benchmark.mean()
    moved = np.add.reduce(deviation * (returns - returns.mean()))
    return _finite(float(moved / np.add.reduce(deviation * deviation)))


def alpha(returns: FloatArray, benchmark: FloatArray, risk_free_rate: float = 0.0) -> float | None:
    """Jensen's alpha, annualized: (1 + a)^252 - 1 with a = mean(excess) - beta x mean(benchmark's excess).

    None where there is no beta, for a daily intercept below -100 %, or where it is too large for a float.
    """
    slope = beta(returns, benchmark)
    if slope is None:
        return None
    excess, of_benchmark = _excess(returns, risk_free_rate), _excess(benchmark, risk_free_rate)
    return _compounded(1.0 + float(excess.mean()) - slope * float(of_benchmark.mean()), TRADING_DAYS_PER_YEAR)


def monthly_returns(year: IntArray, month: IntArray, returns: FloatArray) -> list[tuple[int, int, float | None]]:
    """Compounded return of each month that has a day, as (year, month, return), oldest first.

    `year` and `month` (days,) are those of each return's date. None where a month is too large for a float.
    Raises ValueError for shapes that do not fit, months that are not 1 to 12, or days out of order.
    """
    _check_series("returns", returns)
    stamp = _month_stamps(year, month, returns)
    first = np.flatnonzero(np.diff(stamp, prepend=stamp[0] - 1))
    with np.errstate(over="ignore", invalid="ignore"):
        months = np.multiply.reduceat(1.0 + returns, first) - 1.0
    return [(int(year[day]), int(month[day]), _finite(value)) for day, value in zip(first, months, strict=True)]


def _reason(name: str, causes: list[tuple[set[str], bool, str]]) -> str:
    return next((text for names, holds, text in causes if holds and name in names), _OUT_OF_RANGE)


def _causes(
    returns: FloatArray, benchmark: FloatArray | None, risk_free_rate: float
) -> list[tuple[set[str], bool, str]]:
    """Which measures are missing, whether this is why, and the words; the first that holds is the reason."""
    regression, total = {"alpha", "beta"}, total_return(returns)
    return [
        (regression, benchmark is None, "no benchmark"),
        (regression, len(returns) < 2, "one return only: a regression needs two"),
        ({"annual_volatility", "sharpe"}, len(returns) < 2, "one return only: a standard deviation needs two"),
        (regression, benchmark is not None and _is_constant(benchmark), "the benchmark does not vary"),
        ({"sharpe"}, _is_constant(returns), "zero volatility: the returns do not vary"),
        ({"sortino"}, _shortfall(_excess(returns, risk_free_rate)) == 0, "no shortfall: no excess return below zero"),
        ({"calmar"}, max_drawdown(returns) == 0, "no drawdown"),
        ({"annual_return", "calmar"}, total is not None and total < -1, "more than everything was lost"),
    ]


def _growth(returns: FloatArray) -> FloatArray:
    """(days + 1,): what 1.0 at the start has become after each day."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.cumprod(np.concatenate((np.ones(1), 1.0 + returns)), dtype=np.float64)


def _drawdown(growth: FloatArray, peak: int, last: int) -> Drawdown:
    """The fall from growth[peak] that stays below it until growth[last], in days of the returns (one row earlier)."""
    trough = peak + 1 + int(np.argmin(growth[peak + 1 : last + 1]))
    recovered = last + 1 < len(growth)
    return Drawdown(
        peak=peak - 1,
        trough=trough - 1,
        recovery=last if recovered else None,
        depth=float(growth[trough] / growth[peak] - 1.0),
        days=last + 1 - peak if recovered else last - peak,
    )


def _excess(returns: FloatArray, risk_free_rate: float) -> FloatArray:
    _check_series("returns", returns)
    if not (math.isfinite(risk_free_rate) and risk_free_rate > -1):
        raise ValueError(f"risk_free_rate is {risk_free_rate}; expected an annual fraction above -1, as in 0.02")
    daily_rate: float = (1.0 + risk_free_rate) ** (1 / TRADING_DAYS_PER_YEAR) - 1.0
    return returns - daily_rate


def _shortfall(excess: FloatArray) -> float:
    """Root of the mean squared shortfall below zero, daily; 0 where nothing falls short by more than rounding."""
    if excess.min() >= -_ROUNDING_SPREAD:
        return 0.0
    below = np.minimum(excess, 0.0)
    return math.sqrt(float(np.mean(below * below)))


def _standard_deviation(series: FloatArray) -> float:
    return 0.0 if _is_constant(series) else float(np.std(series, ddof=1))


def _is_constant(series: FloatArray) -> bool:
    return bool(np.ptp(series) <= _ROUNDING_SPREAD)


def _annual_ratio(mean: float, deviation: float) -> float | None:
    if deviation == 0 or not math.isfinite(deviation):
        return None
    return _finite(mean / deviation * math.sqrt(TRADING_DAYS_PER_YEAR))


def _compounded(growth: float, exponent: float) -> float | None:
    if growth < 0:
        return None
    try:
        return _finite(float(growth) ** exponent - 1.0)
    except OverflowError:
        return None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _month_stamps(year: IntArray, month: IntArray, returns: FloatArray) -> IntArray:
    if not year.shape == month.shape == returns.shape:
        raise ValueError(f"year {year.shape}, month {month.shape} and returns {returns.shape}; expected equal shapes")
    if month.min() < 1 or month.max() > 12:
        raise ValueError(f"months from {month.min()} to {month.max()}; expected 1 to 12")
    stamp = year.astype(np.int64) * 12 + month
    if (np.diff(stamp) < 0).any():
        day = int(np.argmax(np.diff(stamp) < 0)) + 1
        raise ValueError(f"row {day} is {year[day]}-{month[day]:02d}, before the row above; expected oldest first")
    return stamp


def _check_pair(returns: FloatArray, benchmark: FloatArray) -> None:
    _check_series("returns", returns)
    _check_series("benchmark", benchmark)
    if len(returns) != len(benchmark):
        raise ValueError(f"benchmark has {len(benchmark)} days; expected the {len(returns)} of returns")


def _check_series(name: str, series: FloatArray) -> None:
    if series.ndim != 1 or len(series) == 0:
        raise ValueError(f"{name} has shape {series.shape}; expected (days,) with at least one day")
    if not np.isfinite(series).all():
        day = int(np.argmin(np.isfinite(series)))
        raise ValueError(f"{name}[{day}] is {series[day]}; expected finite numbers only")

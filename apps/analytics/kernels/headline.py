"""The headline measures of many series at once, for resampling: (days, samples) in, one number a sample out.

Definitions are those of `performance.measure`, whose figures they equal on each column; NaN where a series has no such
measure.
"""

import math

import numpy as np
import numpy.typing as npt

from apps.risk.kernels.historical import expected_shortfall, value_at_risk
from apps.risk.kernels.measures import TRADING_DAYS_PER_YEAR

FloatArray = npt.NDArray[np.float64]

TAIL_CONFIDENCE = 0.95
_ROUNDING_SPREAD = 8 * float(np.finfo(np.float64).eps)
_ANNUAL = math.sqrt(TRADING_DAYS_PER_YEAR)


# Numbers near the end of a float's range overflow on the way: they end as NaN, not as a warning.
@np.errstate(over="ignore", invalid="ignore")
def headline_measures(
    returns: FloatArray, benchmark: FloatArray | None = None, risk_free_rate: float = 0.0
) -> dict[str, FloatArray]:
    """`returns` and `benchmark` (days, samples), finite; the benchmark's measures are left out without one.

    Raises ValueError for shapes that do not fit.
    """
    if returns.ndim != 2 or (benchmark is not None and benchmark.shape != returns.shape):
        shape = None if benchmark is None else benchmark.shape
        raise ValueError(f"returns {returns.shape} and benchmark {shape}; expected both (days, samples)")
    rate = (1.0 + risk_free_rate) ** (1 / TRADING_DAYS_PER_YEAR) - 1.0
    found = {**_of_growth(returns), **_of_spread(returns, rate), **_of_tail(returns)}
    if benchmark is not None:
        found |= _against(returns, benchmark, rate)
    return {name: np.where(np.isfinite(values), values, np.nan) for name, values in found.items()}


def _of_growth(returns: FloatArray) -> dict[str, FloatArray]:
    growth = np.multiply.accumulate(1.0 + returns, axis=0)
    annual = _compounded(growth[-1], TRADING_DAYS_PER_YEAR / len(returns))
    peaks = np.maximum(np.maximum.accumulate(growth, axis=0), 1.0)
    deepest = np.minimum((growth / peaks - 1.0).min(axis=0), 0.0)
    return {
        "total_return": growth[-1] - 1.0,
        "annual_return": annual,
        "max_drawdown": deepest,
        "calmar": _ratio(annual, np.abs(deepest)),
    }


def _of_spread(returns: FloatArray, rate: float) -> dict[str, FloatArray]:
    excess = returns - rate
    mean = excess.mean(axis=0)
    below = np.where(excess < -_ROUNDING_SPREAD, excess, 0.0)
    deviation = _deviation(returns)
    return {
        "annual_volatility": deviation * _ANNUAL,
        "sharpe": _ratio(mean, deviation) * _ANNUAL,
        "sortino": _ratio(mean, np.sqrt((below * below).mean(axis=0))) * _ANNUAL,
    }


def _of_tail(returns: FloatArray) -> dict[str, FloatArray]:
    return {
        "var_95": np.asarray(value_at_risk(returns, TAIL_CONFIDENCE)),
        "cvar_95": np.asarray(expected_shortfall(returns, TAIL_CONFIDENCE)),
    }


def _against(returns: FloatArray, benchmark: FloatArray, rate: float) -> dict[str, FloatArray]:
    active = returns - benchmark
    mean, of_benchmark = returns.mean(axis=0), benchmark.mean(axis=0)
    apart = benchmark - of_benchmark
    varies = np.ptp(benchmark, axis=0) > _ROUNDING_SPREAD
    products, squares = (apart * (returns - mean)).sum(axis=0), (apart * apart).sum(axis=0)
    beta = _ratio(products, np.where(varies, squares, 0.0))
    return {
        "beta": beta,
        "alpha": _compounded(1.0 + (mean - rate) - beta * (of_benchmark - rate), TRADING_DAYS_PER_YEAR),
        "information_ratio": _ratio(active.mean(axis=0), _deviation(active)) * _ANNUAL,
    }


def _deviation(series: FloatArray) -> FloatArray:
    if len(series) < 2:
        return np.full(series.shape[1], np.nan)
    return np.where(np.ptp(series, axis=0) > _ROUNDING_SPREAD, np.std(series, axis=0, ddof=1), 0.0)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator > 0)


def _compounded(growth: FloatArray, exponent: float) -> FloatArray:
    return np.asarray(np.power(np.where(growth < 0, np.nan, growth), exponent) - 1.0)

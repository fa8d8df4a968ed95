"""Measures of the last `window` days, on every day: rolling volatility, Sharpe, Sortino, beta, drawdown, VaR.

Shapes: `returns` (days,) or (days, portfolios), simple daily returns, a fraction each; `benchmark` (days,) or as
`returns`. Every result has the shape of `returns`: row t is the measure of rows t - window + 1 to t, and NaN in the
first window - 1 rows and where that window has no such measure (no volatility to divide by). Definitions are those of
`performance.measure` on the window: 252 days a year, n - 1, VaR by the k-th worst return.
Cost: O(days) a portfolio (sliding.py); the VaR takes O(days x log window).

ValueError for NaN or infinity, shapes that do not fit, a window below 2, a rate of -100 % or less.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import scipy

from apps.analytics.kernels.sliding import Moments, window_drawdowns, window_moments, window_sums
from apps.risk.kernels.historical import tail_count
from apps.risk.kernels.measures import TRADING_DAYS_PER_YEAR

FloatArray = npt.NDArray[np.float64]

# As in performance.py: a constant rate of growth comes out with returns that differ by some eps.
_ROUNDING_SPREAD = 8 * float(np.finfo(np.float64).eps)
_ANNUAL = math.sqrt(TRADING_DAYS_PER_YEAR)

# Numbers that one step holds at a time: 32 MB of them.
_NUMBERS_AT_ONCE = 4_000_000
_PARTS = 24


def rolling_volatility(returns: FloatArray, window: int) -> FloatArray:
    """Standard deviation (n - 1) x sqrt(252), a fraction a year; 0.0 where the window's returns do not vary."""
    return _rolled(returns, returns, window, lambda moments: _deviation(moments, window) * _ANNUAL)


def rolling_sharpe(returns: FloatArray, window: int, risk_free_rate: float = 0.0) -> FloatArray:
    """Mean excess return over its standard deviation (n - 1) x sqrt(252); NaN where the returns do not vary."""
    rate = _daily_rate(risk_free_rate)

    def measure(moments: Moments) -> FloatArray:
        return _ratio(moments.mean - rate, _deviation(moments, window)) * _ANNUAL

    return _rolled(returns, returns, window, measure)


def rolling_sortino(returns: FloatArray, window: int, risk_free_rate: float = 0.0) -> FloatArray:
    """Mean excess over the root of its mean squared shortfall below zero x sqrt(252); NaN where nothing falls short."""
    excess = returns - _daily_rate(risk_free_rate)
    below = np.where(excess < -_ROUNDING_SPREAD, excess, 0.0)
    means = _rolled(excess, excess, window, lambda moments: moments.mean)
    squares = _summed(below * below, window)
    return _ratio(means, np.sqrt(squares / window)) * _ANNUAL


def rolling_beta(returns: FloatArray, benchmark: FloatArray, window: int) -> FloatArray:
    """Slope of the regression on the benchmark; NaN where that does not vary."""
    return _rolled(returns, benchmark, window, _slope)


def rolling_alpha(returns: FloatArray, benchmark: FloatArray, window: int, risk_free_rate: float = 0.0) -> FloatArray:
    """Jensen's alpha, compounded to a year: (1 + mean(excess) - beta x mean(benchmark's excess))^252 - 1.

    NaN where there is no beta, and for an intercept below -100 % a day.
    """
    rate = _daily_rate(risk_free_rate)

    def measure(moments: Moments) -> FloatArray:
        growth = 1.0 + (moments.mean - rate) - _slope(moments) * (moments.of_benchmark - rate)
        compounded = np.power(np.where(growth < 0, np.nan, growth), TRADING_DAYS_PER_YEAR) - 1.0
        return np.asarray(compounded)

    return _rolled(returns, benchmark, window, measure)


def rolling_correlation(returns: FloatArray, benchmark: FloatArray, window: int) -> FloatArray:
    """Pearson's correlation, -1 to 1; NaN where either does not vary."""

    def measure(moments: Moments) -> FloatArray:
        varies = (moments.spread > _ROUNDING_SPREAD) & (moments.benchmark_spread > _ROUNDING_SPREAD)
        scale = np.sqrt(moments.squares) * np.sqrt(moments.benchmark_squares)
        return np.clip(_ratio(moments.products, np.where(varies, scale, 0.0)), -1.0, 1.0)

    return _rolled(returns, benchmark, window, measure)


def rolling_max_drawdown(returns: FloatArray, window: int) -> FloatArray:
    """Deepest fall of the window's own compounded path, a fraction of its peak, negative; 0 without one.

    NaN where the window holds a return below -100 %: after it there is nothing to fall.
    """
    columns = _columns("returns", returns, window)
    above = np.maximum(columns, -1.0)
    deepest = _in_chunks(above, above, window, lambda part, _: window_drawdowns(part, window))
    lost = _in_chunks(columns, columns, window, lambda part, _: window_sums(np.where(part < -1.0, 1.0, 0.0), window))
    return _as_given(np.where(lost > 0, np.nan, deepest), returns)


def rolling_var(returns: FloatArray, window: int, confidence: float = 0.95) -> FloatArray:
    """Historical VaR of the window's daily returns, positive for a loss: minus the k-th worst, no interpolation.

    k = ceil((1 - confidence) window). Raises ValueError for a confidence outside (0.5, 1) as well.
    """
    columns = _columns("returns", returns, window)
    rank = tail_count(confidence, window) - 1
    found = np.full(columns.shape, np.nan)
    if window <= len(columns):
        # The filter's window lies around its day; those that reach over an end of the series are cut off.
        first, last = window // 2, len(columns) - (window - window // 2 - 1)
        for portfolio in range(columns.shape[1]):
            column = np.ascontiguousarray(columns[:, portfolio])
            found[window - 1 :, portfolio] = 0.0 - scipy.ndimage.rank_filter(column, rank, size=window)[first:last]
    return _as_given(found, returns)


# Numbers near the end of a float's range overflow on the way: they end as NaN, not as a warning.
@np.errstate(over="ignore", invalid="ignore")
def _rolled(
    returns: FloatArray, benchmark: FloatArray, window: int, measure: Callable[[Moments], FloatArray]
) -> FloatArray:
    columns = _columns("returns", returns, window)
    alone = benchmark is returns
    others = columns if alone else _as_wide(_columns("benchmark", benchmark, window), columns)
    found = _in_chunks(columns, others, window, lambda x, y: measure(window_moments(x, None if alone else y, window)))
    return _as_given(np.where(np.isfinite(found), found, np.nan), returns)


def _summed(series: FloatArray, window: int) -> FloatArray:
    columns = _columns("returns", series, window)
    return _as_given(_in_chunks(columns, columns, window, lambda part, _: window_sums(part, window)), series)


def _in_chunks(
    columns: FloatArray,
    others: FloatArray,
    window: int,
    measure: Callable[[FloatArray, FloatArray], FloatArray],
) -> FloatArray:
    """The measure of some portfolios at a time, so that thousands of them take no more memory than some."""
    found = np.full(columns.shape, np.nan)
    width = max(1, _NUMBERS_AT_ONCE // (_PARTS * len(columns)))
    for start in range(0, columns.shape[1] if len(columns) >= window else 0, width):
        some = slice(start, start + width)
        found[window - 1 :, some] = measure(columns[:, some], others[:, some])
    return found


def _deviation(moments: Moments, window: int) -> FloatArray:
    deviation = np.sqrt(moments.squares / (window - 1))
    return np.where(moments.spread > _ROUNDING_SPREAD, deviation, 0.0)


def _slope(moments: Moments) -> FloatArray:
    varies = moments.benchmark_spread > _ROUNDING_SPREAD
    return _ratio(moments.products, np.where(varies, moments.benchmark_squares, 0.0))


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    nothing = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.divide(numerator, denominator, out=nothing, where=denominator > 0)


def _daily_rate(risk_free_rate: float) -> float:
    if not (math.isfinite(risk_free_rate) and risk_free_rate > -1):
        raise ValueError(f"risk_free_rate is {risk_free_rate}; expected an annual fraction above -1, as in 0.02")
    return float((1.0 + risk_free_rate) ** (1 / TRADING_DAYS_PER_YEAR) - 1.0)


def _columns(name: str, series: FloatArray, window: int) -> FloatArray:
    """The series as (days, portfolios), checked."""
    if series.ndim not in (1, 2) or series.size == 0:
        raise ValueError(f"{name} has shape {series.shape}; expected (days,) or (days, portfolios), not empty")
    if window < 2:
        raise ValueError(f"window is {window}; expected at least 2 days")
    if not np.isfinite(series).all():
        place = tuple(int(index) for index in np.argwhere(~np.isfinite(series))[0])
        raise ValueError(f"{name}{list(place)} is {series[place]}; expected finite numbers only")
    return np.asarray(series if series.ndim == 2 else series[:, None], dtype=np.float64)


def _as_wide(benchmark: FloatArray, columns: FloatArray) -> FloatArray:
    if len(benchmark) != len(columns) or benchmark.shape[1] not in (1, columns.shape[1]):
        raise ValueError(f"benchmark has shape {benchmark.shape}; expected that of the returns, {columns.shape}")
    return np.broadcast_to(benchmark, columns.shape)


def _as_given(found: FloatArray, returns: FloatArray) -> FloatArray:
    return found[:, 0] if returns.ndim == 1 else found

"""Daily returns behind a stored performance, read again from its exact inputs, and the curves that follow from them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from apps.analytics.kernels.rolling import rolling_sharpe, rolling_volatility
from apps.analytics.models import AnalyticsMetric
from apps.analytics.period import closes_of, gap_of, read_period
from apps.portfolios.kernels.valuation import simple_returns
from apps.portfolios.matrix import PriceMatrix, load_matrix

FloatArray = npt.NDArray[np.float64]
DateArray = npt.NDArray[np.datetime64]

# Half a year, which shows a change of regime within the year; a month for what is shorter than that.
ROLLING_WINDOWS_DAYS = (126, 21)
FEWEST_DAYS = 2 * ROLLING_WINDOWS_DAYS[-1]


@dataclass(frozen=True, slots=True)
class Series:
    """Simple daily returns of the period, (days,), row t ending on `ends[t]`; `start` is the day before the first.

    `benchmark` (days,) over the same days, or None with the reason in `benchmark_reason`.
    """

    start: np.datetime64
    ends: DateArray
    returns: FloatArray
    benchmark: FloatArray | None
    benchmark_reason: str | None


def series_of(metric: AnalyticsMetric) -> Series:
    """The very returns that the stored figures were measured on. Raises what reading prices and ledger raises."""
    inputs = metric.snapshot.inputs
    matrix = load_matrix(inputs["price_version"])
    period = read_period(inputs, matrix)
    benchmark, reason = _benchmark(inputs["benchmark"], period.dates, matrix)
    return Series(period.start, period.ends, period.returns, benchmark, reason)


def _benchmark(symbol: str | None, dates: DateArray, matrix: PriceMatrix) -> tuple[FloatArray | None, str | None]:
    if symbol is None:
        return None, "no benchmark"
    closes = closes_of(symbol, dates, matrix)
    gap = gap_of(symbol, closes, dates)
    return (None, gap) if gap else (simple_returns(closes[:, None])[:, 0], None)


def growth_of(returns: FloatArray) -> FloatArray:
    """(days + 1,): what 1.0 at the start has become; NaN from where it is too large for a float."""
    with np.errstate(over="ignore", invalid="ignore"):
        growth = np.cumprod(np.concatenate((np.ones(1), 1.0 + returns)))
    return np.where(np.isfinite(growth), growth, np.nan)


def drawdown_of(growth: FloatArray) -> FloatArray:
    """(days + 1,): distance below the highest point so far, a fraction of that, 0 or negative."""
    return growth / np.maximum.accumulate(growth) - 1.0


def rolling_window(days: int) -> int | None:
    """Days of a rolling window on so long a series, so that half of it has a figure at least; None: too short."""
    return next((window for window in ROLLING_WINDOWS_DAYS if days >= 2 * window), None)


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def rolling_of(returns: FloatArray, window: int, risk_free_rate: float) -> tuple[FloatArray, FloatArray]:
    """Sharpe ratio and annual volatility of the last `window` days, (days,) each, NaN where there is none."""
    return rolling_sharpe(returns, window, risk_free_rate), rolling_volatility(returns, window)

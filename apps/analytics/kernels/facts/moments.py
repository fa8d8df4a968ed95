"""How the returns of a series lie around their mean, and below the risk-free rate."""

from dataclasses import dataclass

import numpy as np

from apps.analytics.kernels.facts.rows import ROUNDING_SPREAD, FloatArray, row_product_sum, row_sum


@dataclass(frozen=True, slots=True)
class Moments:
    """All (portfolios,). A deviation is a return less the mean; all deviations' sums are 0 where returns do not vary.

    `neighbours` is the sum of each day's deviation times the next day's, `first` and `last` are those of the ends.
    A shortfall is the part of return - daily rate below zero; both sums are 0 where none is more than rounding.
    """

    low: FloatArray
    high: FloatArray
    mean: FloatArray
    squares: FloatArray
    cubes: FloatArray
    fourths: FloatArray
    neighbours: FloatArray
    first: FloatArray
    last: FloatArray
    shortfall: FloatArray
    shortfall_squares: FloatArray
    losses: FloatArray


def moments(returns: FloatArray, daily_rate: float) -> tuple[Moments, FloatArray]:
    """From rows (portfolios, days); and the deviations, of the same shape, which others need too."""
    low, high = returns.min(axis=1), returns.max(axis=1)
    mean = row_sum(returns) / returns.shape[1]
    deviations = returns - mean[:, None]
    varies = high - low > ROUNDING_SPREAD
    squares = deviations * deviations
    losses = _below(returns, 0.0)
    short = _below(returns, daily_rate) if daily_rate else losses
    falls_short = low - daily_rate < -ROUNDING_SPREAD
    found = Moments(
        low,
        high,
        mean,
        np.where(varies, row_sum(squares), 0.0),
        np.where(varies, row_product_sum(squares, deviations), 0.0),
        np.where(varies, row_product_sum(squares, squares), 0.0),
        np.where(varies, row_product_sum(deviations[:, :-1], deviations[:, 1:]), 0.0),
        np.where(varies, deviations[:, 0], 0.0),
        np.where(varies, deviations[:, -1], 0.0),
        np.where(falls_short, row_sum(short), 0.0),
        np.where(falls_short, row_product_sum(short, short), 0.0),
        np.where(low < -ROUNDING_SPREAD, row_sum(losses), 0.0),
    )
    return found, deviations


def _below(returns: FloatArray, line: float) -> FloatArray:
    """What of each return falls short of `line`, 0 where it does not."""
    # Against an array of zeros: numpy's minimum of an array and a number is not vectorized.
    return np.minimum(returns - line if line else returns, np.zeros(returns.shape[1]))

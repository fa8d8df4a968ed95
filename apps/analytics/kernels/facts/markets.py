"""A series beside a benchmark: what they do together, on days the benchmark rises, and on days it falls.

`Market` is of the benchmark alone and made once for all portfolios that share it: one row. Slopes are sums over the
days of return x weight, so each costs one pass: beta's weight is the benchmark's deviation, that of a timing
coefficient the part of its regressor that neither a constant nor the benchmark explains (Frisch & Waugh 1933).
"""

from dataclasses import dataclass

import numpy as np

from apps.analytics.kernels.facts.rows import (
    ROUNDING_SPREAD,
    BoolArray,
    FloatArray,
    IntArray,
    row_count,
    row_product_sum,
    row_sum,
)

# A regressor of which less than this part is left has nothing of its own: it is a multiple of the others.
_NOTHING_LEFT = 1e-24


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """Of the benchmark, (1,) or (portfolios,). `squares` are those of deviations, 0 where it does not vary there.

    `end` is what 1.0 becomes over all, over rising and over falling days.
    """

    mean: FloatArray
    squares: FloatArray
    end: FloatArray
    up_days: FloatArray
    up_mean: FloatArray
    up_squares: FloatArray
    up_end: FloatArray
    down_days: FloatArray
    down_mean: FloatArray
    down_squares: FloatArray
    down_end: FloatArray
    days_not_down: FloatArray
    low: FloatArray
    middle: FloatArray
    high: FloatArray
    timing_squares: FloatArray
    option_squares: FloatArray


@dataclass(frozen=True, slots=True)
class Side:
    """The days on one side of zero: 1.0 there and 0.0 elsewhere, and the benchmark's deviation from its mean there."""

    days: FloatArray
    weights: FloatArray


@dataclass(frozen=True, slots=True)
class Market:
    """Rows (1 or portfolios, days), and `places` (1 or portfolios, 3) of its lowest, middle and highest return."""

    returns: FloatArray
    deviations: FloatArray
    up: Side
    down: Side
    not_down: BoolArray
    timing: FloatArray
    option: FloatArray
    places: IntArray
    facts: MarketFacts


@dataclass(frozen=True, slots=True)
class Against:
    """Of a portfolio beside its benchmark, (portfolios,). Active is the return less the benchmark's.

    `beaten` counts days with an active return above zero, `beaten_up` those on which the benchmark did not fall.
    """

    products: FloatArray
    active_mean: FloatArray
    active_squares: FloatArray
    beaten: FloatArray
    beaten_up: FloatArray
    up_mean: FloatArray
    up_products: FloatArray
    up_end: FloatArray
    down_mean: FloatArray
    down_products: FloatArray
    down_end: FloatArray
    timing_products: FloatArray
    option_products: FloatArray
    at_low: FloatArray
    at_middle: FloatArray
    at_high: FloatArray


def market(returns: FloatArray, daily_rate: float) -> Market:
    """From the benchmark's rows (1 or portfolios, days), all finite."""
    days = returns.shape[1]
    mean = row_sum(returns) / days
    deviations = returns - mean[:, None]
    varies = np.ptp(returns, axis=1) > ROUNDING_SPREAD
    squares = np.where(varies, row_product_sum(deviations, deviations), 0.0)
    (up, up_facts), (down, down_facts) = _side(returns, returns > 0), _side(returns, returns < 0)
    excess = returns - daily_rate
    timing, timing_squares = _unexplained(excess * excess, deviations, squares)
    option, option_squares = _unexplained(np.maximum(-excess, 0.0), deviations, squares)
    places, every = _places(returns), np.arange(len(returns))
    facts = MarketFacts(
        mean,
        squares,
        np.multiply.reduce(1.0 + returns, axis=1),
        *up_facts,
        *down_facts,
        row_count(returns >= 0),
        returns[every, places[:, 0]],
        returns[every, places[:, 1]],
        returns[every, places[:, 2]],
        timing_squares,
        option_squares,
    )
    return Market(returns, deviations, up, down, returns >= 0, timing, option, places, facts)


def against(returns: FloatArray, deviations: FloatArray, market: Market) -> Against:
    """From rows (portfolios, days), their deviations from their means, and the market over the same days."""
    active = returns - market.returns
    beaten, every = active > ROUNDING_SPREAD, np.arange(len(returns))
    return Against(
        row_product_sum(deviations, market.deviations),
        row_sum(active) / returns.shape[1],
        _active_squares(active, deviations - market.deviations),
        row_count(beaten),
        row_count(beaten & market.not_down),
        *_on(returns, market.up),
        *_on(returns, market.down),
        row_product_sum(returns, market.timing),
        row_product_sum(returns, market.option),
        returns[every, market.places[:, 0]],
        returns[every, market.places[:, 1]],
        returns[every, market.places[:, 2]],
    )


def _active_squares(active: FloatArray, deviations: FloatArray) -> FloatArray:
    varies = active.max(axis=1) - active.min(axis=1) > ROUNDING_SPREAD
    return np.where(varies, row_product_sum(deviations, deviations), 0.0)


def _on(returns: FloatArray, side: Side) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, sum of return x weight, and growth, of the days of a side."""
    there = returns * side.days
    mean = row_sum(there) / row_sum(side.days)
    there += 1.0
    return mean, row_product_sum(returns, side.weights), np.asarray(np.multiply.reduce(there, axis=1))


def _side(
    benchmark: FloatArray, chosen: BoolArray
) -> tuple[Side, tuple[FloatArray, FloatArray, FloatArray, FloatArray]]:
    days = chosen.astype(np.float64)
    count = row_sum(days)
    there = benchmark * days
    mean = row_sum(there) / count
    weights = np.where(chosen, benchmark - mean[:, None], 0.0)
    spread = np.max(weights, axis=1) - np.min(weights, axis=1)
    squares = np.where(spread > ROUNDING_SPREAD, row_product_sum(weights, weights), 0.0)
    return Side(days, weights), (count, mean, squares, np.multiply.reduce(1.0 + there, axis=1))


def _unexplained(regressor: FloatArray, deviations: FloatArray, squares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What of the regressor a constant and the benchmark leave, and the sum of its squares, 0 where it is rounding."""
    left = regressor - (row_sum(regressor) / regressor.shape[1])[:, None]
    size = row_product_sum(left, left)
    left = left - deviations * (row_product_sum(left, deviations) / squares)[:, None]
    remaining = row_product_sum(left, left)
    return left, np.where(remaining > _NOTHING_LEFT * size, remaining, 0.0)


def _places(benchmark: FloatArray) -> IntArray:
    """Of each row's lowest, middle (rank n // 2) and highest return; of equal ones the first."""
    middle = np.partition(benchmark, benchmark.shape[1] // 2, axis=1)[:, benchmark.shape[1] // 2]
    found = [benchmark.argmin(axis=1), (benchmark == middle[:, None]).argmax(axis=1), benchmark.argmax(axis=1)]
    return np.column_stack(found)

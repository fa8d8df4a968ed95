"""What 1.0 at the start becomes, day after day: its growth, its logarithm, its falls below an earlier peak.

Growth has one column more than returns: column 0 is the start, 1.0; column t is the close of day t.
"""

from dataclasses import dataclass

import numpy as np

from apps.analytics.kernels.facts.rows import EPS, BoolArray, FloatArray, IntArray, row_product_sum, row_sum

# Sterling's and Burke's ratios are taken over this many of the deepest drawdowns.
DEEPEST = 5

_DrawdownFacts = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True, slots=True)
class Path:
    """All (portfolios,). `end` is the growth at the last day; depths are negative, fractions of the peak.

    `fall_sum` and `fall_squares` are those of each day's distance from the peak so far, over the days. `drawdowns`
    counts the falls from a peak until it is reached again; `drawdown_days` and `longest` are in trading days.
    `log_trend` is the sum of log growth x centred day, `log_squares` of log growth's squared deviations, and
    `log_return_squares` that of the logarithmic returns.
    """

    end: FloatArray
    deepest: FloatArray
    fall_sum: FloatArray
    fall_squares: FloatArray
    drawdowns: FloatArray
    drawdown_depths: FloatArray
    drawdown_days: FloatArray
    longest: FloatArray
    worst_depths: FloatArray
    worst_squares: FloatArray
    log_trend: FloatArray
    log_squares: FloatArray
    log_return_squares: FloatArray


def growth_of(returns: FloatArray) -> FloatArray:
    """(portfolios, days) to (portfolios, days + 1), the start included."""
    factors = np.ones((returns.shape[0], returns.shape[1] + 1))
    np.add(returns, 1.0, out=factors[:, 1:])
    return np.asarray(np.multiply.accumulate(factors, axis=1, out=factors))


def falls_of(growth: FloatArray) -> FloatArray:
    """(portfolios, days + 2): growth over its running peak - 1, with a column of 0 after the last day.

    A fall that `days` multiplications can have rounded is none: it would make a drawdown of a path that came back.
    """
    falls = np.zeros((growth.shape[0], growth.shape[1] + 1))
    inner = falls[:, :-1]
    np.divide(growth, np.maximum.accumulate(growth, axis=1, out=inner), out=inner)
    np.subtract(inner, 1.0, out=inner)
    return falls


def are_under(falls: FloatArray) -> BoolArray:
    """Which days lie below the peak by more than rounding, of `falls_of`."""
    return np.asarray(falls < -(falls.shape[1] - 2) * EPS)


def path(growth: FloatArray) -> Path:
    """From growth (portfolios, days + 1)."""
    falls = falls_of(growth)
    inner = falls[:, 1:-1]
    under = are_under(falls)
    return Path(
        growth[:, -1],
        np.where(under.any(axis=1), falls.min(axis=1), np.where(np.isnan(inner[:, -1]), np.nan, 0.0)),
        row_sum(inner),
        row_product_sum(inner, inner),
        *_drawdowns(falls, under),
        *_logarithms(growth),
    )


def edges_of(under: BoolArray) -> tuple[IntArray, IntArray]:
    """Of each drawdown, as places in the flattened array: the last day at its peak, and its last day below."""
    flat = under.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return edges[0::2], edges[1::2]


def _drawdowns(falls: FloatArray, under: BoolArray) -> _DrawdownFacts:
    portfolios, width = falls.shape
    peaks, lasts = edges_of(under)
    rows = peaks // width
    count = np.bincount(rows, minlength=portfolios)
    if not len(rows):
        return (none := np.zeros(portfolios)), none, none, none, none, none
    depths = np.minimum.reduceat(falls.ravel(), np.column_stack((peaks + 1, lasts + 1)).ravel())[::2]
    # The last day of a series is column width - 2; a drawdown below it to the end has no day of recovery to count.
    days = lasts - peaks + (lasts % width < width - 2)
    table = np.zeros((2, portfolios, max(DEEPEST, int(count.max()))))
    place = np.arange(len(rows)) - (np.cumsum(count) - count)[rows]
    table[0, rows, place], table[1, rows, place] = depths, days
    worst = np.sort(np.partition(table[0], DEEPEST - 1, axis=1)[:, :DEEPEST], axis=1)
    return (
        count.astype(np.float64),
        np.bincount(rows, depths, portfolios).astype(np.float64),
        np.bincount(rows, days, portfolios).astype(np.float64),
        np.asarray(table[1].max(axis=1)),
        row_sum(worst),
        row_product_sum(worst, worst),
    )


def _logarithms(growth: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    days = growth.shape[1] - 1
    logs = np.log(growth)
    steps = logs[:, 1:] - logs[:, :-1]
    steps -= logs[:, -1:] / days
    closes = logs[:, 1:]
    closes -= (row_sum(closes) / days)[:, None]
    centred = np.arange(days) - (days - 1) / 2
    return row_product_sum(closes, centred[None, :]), row_product_sum(closes, closes), row_product_sum(steps, steps)

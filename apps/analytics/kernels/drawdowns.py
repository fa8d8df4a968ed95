"""The drawdowns of one series of daily returns, (days,), each with its dates' rows."""

from dataclasses import dataclass

import numpy as np

from apps.analytics.kernels.facts.paths import are_under, edges_of, falls_of, growth_of
from apps.analytics.kernels.facts.rows import FloatArray

START = -1


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


@np.errstate(over="ignore", invalid="ignore")
def drawdown_table(returns: FloatArray, count: int = 5) -> list[Drawdown]:
    """The `count` deepest drawdowns, deepest first, of equal depth the earlier first. Empty where none was.

    Each runs from the last day at a peak to the first day back at it; the trough is its first lowest day. A fall that
    rounding can have made is none. A series with a missing return, or whose growth is too large for a float, has no
    table: empty. Raises ValueError for what is no series, or a count below 1.
    """
    if returns.ndim != 1 or len(returns) == 0:
        raise ValueError(f"returns has shape {returns.shape}; expected (days,) with at least one day")
    if count < 1:
        raise ValueError(f"count is {count}; expected at least 1")
    growth = growth_of(returns[None, :])
    if not np.isfinite(growth).all():
        return []
    falls = falls_of(growth)
    edges = edges_of(are_under(falls))
    found = [_drawdown(falls[0], int(peak), int(last)) for peak, last in zip(*edges, strict=True)]
    return sorted(found, key=lambda fall: (fall.depth, fall.peak))[:count]


def _drawdown(falls: FloatArray, peak: int, last: int) -> Drawdown:
    """Of columns of the growth, each one more than the row of its return."""
    trough = peak + 1 + int(np.argmin(falls[peak + 1 : last + 1]))
    recovered = last < len(falls) - 2
    return Drawdown(
        peak=peak - 1,
        trough=trough - 1,
        recovery=last if recovered else None,
        depth=float(falls[trough]),
        days=last + 1 - peak if recovered else last - peak,
    )

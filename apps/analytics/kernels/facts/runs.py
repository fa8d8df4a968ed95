"""Days that won, days that lost, and how many of them came in a row."""

from dataclasses import dataclass

import numpy as np

from apps.analytics.kernels.facts.rows import ROUNDING_SPREAD, BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Runs:
    """Numbers of days, (portfolios,). A return that is zero but for rounding neither wins nor loses."""

    wins: FloatArray
    losses: FloatArray
    longest_winning: FloatArray
    longest_losing: FloatArray


def runs(returns: FloatArray) -> Runs:
    """From rows (portfolios, days): each row is cut where a day does not go the way of the day before."""
    way = (returns > ROUNDING_SPREAD).view(np.int8) - (returns < -ROUNDING_SPREAD).view(np.int8)
    begins = np.flatnonzero(_turns(way))
    lengths = np.diff(begins, append=way.size)
    first = np.searchsorted(begins, np.arange(0, way.size, way.shape[1]))
    ways = way.ravel()[begins]
    won, lost = lengths * (ways > 0), lengths * (ways < 0)
    return Runs(
        *(np.add.reduceat(each, first).astype(np.float64) for each in (won, lost)),
        *(np.maximum.reduceat(each, first).astype(np.float64) for each in (won, lost)),
    )


def _turns(way: np.ndarray[tuple[int, int], np.dtype[np.int8]]) -> BoolArray:
    turns = np.ones(way.shape, dtype=np.bool_)
    np.not_equal(way[:, 1:], way[:, :-1], out=turns[:, 1:])
    return turns

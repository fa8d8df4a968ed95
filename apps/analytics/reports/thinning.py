"""Fewer points for a drawing: a line of 8,000 points in a width of 500 shows no more than its peaks and troughs."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def thinned(values: FloatArray, most: int) -> npt.NDArray[np.intp]:
    """Rows of at most `most` points that keep the first, the last, and the least and greatest of each stretch.

    `values` (points,), NaN where there is none. Every row where there are few enough. ValueError below 4.
    """
    if most < 4:
        raise ValueError(f"most is {most}; expected 4 or more")
    last = len(values) - 1
    if last < most:
        return np.arange(len(values))
    count = (most - 2) // 2
    length = -(-(last - 1) // count)
    stretches = np.full(count * length, np.nan)
    stretches[: last - 1] = values[1:last]
    rows = _extremes(stretches.reshape(count, length)) + 1 + np.arange(count) * length
    return np.unique(np.concatenate([[0], rows[rows < last], [last]]))


def _extremes(stretches: FloatArray) -> npt.NDArray[np.intp]:
    """Columns of the least and of the greatest of each row, (2, rows); the first one where all are NaN."""
    missing = np.isnan(stretches)
    least = np.where(missing, np.inf, stretches).argmin(axis=1)
    return np.stack([least, np.where(missing, -np.inf, stretches).argmax(axis=1)])

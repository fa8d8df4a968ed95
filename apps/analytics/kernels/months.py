"""The months of one series of daily returns."""

import math

import numpy as np

from apps.analytics.kernels.facts.rows import FloatArray, IntArray


def monthly_returns(year: IntArray, month: IntArray, returns: FloatArray) -> list[tuple[int, int, float | None]]:
    """Compounded return of each month that has a day, as (year, month, return), oldest first.

    `year` and `month` (days,) are those of each return's date. None where a month is too large for a float, or a
    return of it is missing. Raises ValueError for shapes that do not fit, months that are not 1 to 12, or days out of
    order.
    """
    stamp = _month_stamps(year, month, returns)
    first = np.flatnonzero(np.diff(stamp, prepend=stamp[0] - 1))
    with np.errstate(over="ignore", invalid="ignore"):
        months = np.multiply.reduceat(1.0 + returns, first) - 1.0
    rows = zip(first, months.tolist(), strict=True)
    return [(int(year[day]), int(month[day]), value if math.isfinite(value) else None) for day, value in rows]


def _month_stamps(year: IntArray, month: IntArray, returns: FloatArray) -> IntArray:
    if not year.shape == month.shape == returns.shape or returns.ndim != 1 or len(returns) == 0:
        shapes = f"year {year.shape}, month {month.shape} and returns {returns.shape}"
        raise ValueError(f"{shapes}; expected equal shapes (days,) with at least one day")
    if month.min() < 1 or month.max() > 12:
        raise ValueError(f"months from {month.min()} to {month.max()}; expected 1 to 12")
    stamp = year.astype(np.int64) * 12 + month
    if (np.diff(stamp) < 0).any():
        day = int(np.argmax(np.diff(stamp) < 0)) + 1
        raise ValueError(f"row {day} is {year[day]}-{month[day]:02d}, before the row above; expected oldest first")
    return stamp

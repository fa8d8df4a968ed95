"""A book that changes from day to day, each day's book through the returns behind it."""

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

FloatArray = npt.NDArray[np.float64]


def rolling_pnl(returns: FloatArray, values: FloatArray, window_days: int) -> FloatArray:
    """P&L of book i through the `window_days` returns from row i on, (books, window_days), in the values' currency.

    pnl[i, j] = sum over symbols of values[i, s] x returns[i + j, s], added up symbol by symbol: the bits depend on no
    BLAS, no number of books, and no other book. `values` (books, symbols), currency; `returns`
    (books + window_days - 1, symbols), fractions; NaN where a return of the book is NaN. Takes two arrays of the size
    of its answer.
    Raises ValueError for shapes that do not fit.
    """
    books, symbols = values.shape
    if window_days < 1 or not books or returns.shape != (books + window_days - 1, symbols):
        raise ValueError(
            f"returns {returns.shape} do not fit values {values.shape} and a window of {window_days}; "
            f"expected ({books + window_days - 1}, {symbols}) and at least one book and one day"
        )
    pnl, part = np.zeros((books, window_days)), np.empty((books, window_days))
    for symbol in range(symbols):
        windows = sliding_window_view(returns[:, symbol], window_days)
        np.multiply(windows, values[:, symbol, np.newaxis], out=part)
        pnl += part
    return pnl

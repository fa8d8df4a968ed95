"""The prices that a strategy sees: the latest rows that were fed, a fresh frame for each call."""

import numpy as np
import numpy.typing as npt
import pandas as pd


class Prices:
    """Rows up to now, at most `history_days` of them."""

    def __init__(self, symbols: list[str], history_days: int) -> None:
        self._symbols = symbols
        self._history_days = history_days
        self._days: npt.NDArray[np.datetime64] = np.empty(0, dtype="datetime64[D]")
        self._closes: npt.NDArray[np.float64] = np.empty((0, len(symbols)))

    def append(self, days: npt.NDArray[np.datetime64], closes: npt.NDArray[np.float64]) -> None:
        """`days`: (n,) datetime64[D]; `closes`: (n, symbols), NaN where there is no price."""
        self._days = np.concatenate([self._days, days])[-self._history_days :].copy()
        self._closes = np.concatenate([self._closes, closes])[-self._history_days :].copy()

    def frame(self) -> pd.DataFrame:
        return prices_frame(self._days, self._closes, self._symbols)


def prices_frame(days: npt.NDArray[np.datetime64], closes: npt.NDArray[np.float64], symbols: list[str]) -> pd.DataFrame:
    """Days x symbols, float64, DatetimeIndex: exactly what `target_weights` gets, a copy of what is given."""
    return pd.DataFrame(closes.copy(), index=pd.DatetimeIndex(days.astype("datetime64[us]")), columns=symbols)

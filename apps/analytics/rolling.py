"""Rolling measures of a period, as the result shows them."""

from typing import Any

import numpy as np

from apps.analytics.kernels.rolling import (
    rolling_alpha,
    rolling_beta,
    rolling_correlation,
    rolling_max_drawdown,
    rolling_sharpe,
    rolling_sortino,
    rolling_var,
    rolling_volatility,
)
from apps.portfolios.matrix import DateArray, FloatArray

WINDOW_DAYS = (20, 2520)


def rolling_of(
    ends: DateArray,
    returns: FloatArray,
    benchmark: FloatArray | None,
    window_days: int | None,
    risk_free_rate: float,
) -> tuple[dict[str, Any] | None, str | None]:
    """One row of each list a day, from the first day with a whole window on; or None and why."""
    if window_days is None:
        return None, "rolling_window_days was not given"
    if window_days > len(returns):
        return None, f"a window of {window_days} days in a period of {len(returns)}"
    series = {
        "volatility": rolling_volatility(returns, window_days),
        "sharpe": rolling_sharpe(returns, window_days, risk_free_rate),
        "sortino": rolling_sortino(returns, window_days, risk_free_rate),
        "max_drawdown": rolling_max_drawdown(returns, window_days),
        "var_95": rolling_var(returns, window_days),
        **_against(returns, benchmark, window_days, risk_free_rate),
    }
    first = window_days - 1
    shown = {name: None if values is None else _listed(values[first:]) for name, values in series.items()}
    return {"window_days": window_days, "dates": [str(day) for day in ends[first:]], **shown}, None


def _against(
    returns: FloatArray, benchmark: FloatArray | None, window_days: int, risk_free_rate: float
) -> dict[str, FloatArray | None]:
    if benchmark is None:
        return {"beta": None, "alpha": None, "correlation": None}
    return {
        "beta": rolling_beta(returns, benchmark, window_days),
        "alpha": rolling_alpha(returns, benchmark, window_days, risk_free_rate),
        "correlation": rolling_correlation(returns, benchmark, window_days),
    }


def _listed(values: FloatArray) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]

"""Filtered historical simulation: yesterday's shocks at today's volatility.

Scenario t is the return of day t times sigma(next day) / sigma(t): the standardized shock of that day, at the
volatility that is expected now. All positions of a day are scaled by the book's own volatility, so the book's scenarios
are those of the filtered P&L and the split by position stays that of historical simulation.

Sources: Hull & White (1998), Incorporating volatility updating into the historical simulation method, J. Risk 1(1);
Barone-Adesi, Giannopoulos & Vosper (1999), VaR without correlations for portfolios of derivative securities, J. Futures
Markets 19; J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th ed., sec. 5.2 (EWMA).
"""

import math

import numpy as np

from apps.risk.kernels.historical import FloatArray

EWMA_DECAY = 0.94


def ewma_volatility(pnl: FloatArray, decay: float = EWMA_DECAY) -> FloatArray:
    """Volatility (days + 1,) known before each day, the last one before the day after the window; unit of `pnl`.

    var(t + 1) = decay var(t) + (1 - decay) pnl(t)^2, from the mean square of the window on; the mean is taken as zero.
    """
    variance = np.empty(len(pnl) + 1)
    variance[0] = np.mean(pnl * pnl)
    for day, square in enumerate((pnl * pnl).tolist()):
        variance[day + 1] = decay * variance[day] + (1 - decay) * square
    return np.sqrt(variance)


def garch_volatility(pnl: FloatArray, omega: float, alpha: float, beta: float, start: float) -> FloatArray:
    """The same by GARCH(1,1): var(t + 1) = omega + alpha pnl(t)^2 + beta var(t), var(0) = `start` (Bollerslev 1986)."""
    variance = np.empty(len(pnl) + 1)
    variance[0] = start
    for day, square in enumerate((pnl * pnl).tolist()):
        variance[day + 1] = omega + alpha * square + beta * variance[day]
    return np.sqrt(variance)


def filter_factors(volatility: FloatArray) -> FloatArray:
    """sigma(next) / sigma(t) of each day, (days,), from `volatility` (days + 1,); 1 where a day had none.

    Raises ValueError for NaN, infinity or a negative volatility.
    """
    if not np.isfinite(volatility).all() or (volatility < 0).any():
        raise ValueError("volatility holds NaN, infinity or a negative number; expected finite ones from 0 up")
    if math.isclose(float(volatility[-1]), 0.0, abs_tol=0.0):
        return np.ones(len(volatility) - 1)
    past = volatility[:-1]
    return np.divide(volatility[-1], past, out=np.ones_like(past), where=past > 0)

"""Filtered historical simulation: yesterday's shocks at today's volatility.

Scenario t is the return of day t times sigma(next day) / sigma(t): the standardized shock of that day, at the
volatility that is expected now. All positions of a day are scaled by the book's own volatility, so the book's scenarios
are those of the filtered P&L and the split by position stays that of historical simulation.

Sources: Hull & White (1998), Incorporating volatility updating into the historical simulation method, J. Risk 1(1);
Barone-Adesi, Giannopoulos & Vosper (1999), VaR without correlations for portfolios of derivative securities, J. Futures
Markets 19; J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th ed., sec. 5.2 (EWMA).
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy

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


@dataclass(frozen=True, slots=True)
class Garch:
    """var(t + 1) = omega + alpha pnl(t)^2 + beta var(t); `start` is var(0)."""

    omega: float
    alpha: float
    beta: float
    start: float
    converged: bool


def fit_garch(shocks: FloatArray, backcast: float) -> Garch:
    """GARCH(1,1) of zero mean by normal quasi maximum likelihood; `shocks` (days,) of a size near one.

    The variance before the first day is `backcast`, as in the arch package, whose fit is the peer in the tests. The
    search is Nelder and Mead's (1965) over log variance, logit of alpha + beta and logit of alpha's part of it: it
    calls neither BLAS nor LAPACK, so that no thread count moves a bit, which arch's own (SLSQP) does.
    """
    squares = shocks * shocks

    def parameters(theta: FloatArray) -> tuple[float, float, float]:
        level, persistence, share = theta.tolist()
        kept, part = _logistic(persistence), _logistic(share)
        return math.exp(min(level, 50.0)) * (1 - kept), kept * part, kept * (1 - part)

    def negative_log_likelihood(theta: FloatArray) -> float:
        variance = _variances(squares, *parameters(theta), backcast)
        # Beyond these a step of the search has left every sensible variance behind.
        variance = np.clip(variance, 1e-12, 1e12)
        return float(np.add.reduce(np.log(variance) + squares / variance))

    begin = np.array([math.log(max(float(np.mean(squares)), 1e-12)), math.log(19.0), math.log(0.1 / 0.9)])
    # Begun anew where the first search ends: a simplex that has collapsed early gets another chance.
    rough, fine = ({"xatol": 10 * size, "fatol": size, "maxfev": 2_000} for size in (1e-3, 1e-6))
    first = scipy.optimize.minimize(negative_log_likelihood, begin, method="Nelder-Mead", options=rough)
    found = scipy.optimize.minimize(negative_log_likelihood, first.x, method="Nelder-Mead", options=fine)
    omega, alpha, beta = parameters(found.x)
    return Garch(omega, alpha, beta, omega + (alpha + beta) * backcast, bool(found.success))


def _variances(squares: FloatArray, omega: float, alpha: float, beta: float, backcast: float) -> FloatArray:
    """var(t) of each day, (days,), by a linear filter."""
    driven = omega + alpha * np.concatenate([[backcast], squares[:-1]])
    return np.asarray(scipy.signal.lfilter([1.0], [1.0, -beta], driven, zi=[beta * backcast])[0])


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-min(max(x, -30.0), 30.0)))


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

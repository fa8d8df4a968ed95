"""Further measures of a book over the window: how much it moves, how deep it falls, how well it is spread.

Shapes as in historical.py: `returns` (days, symbols), fractions; `values` (symbols,), currency, negative when short;
`pnl` (days,), today's book through each day of the window, oldest first, in currency. All are one-day figures over the
window, or figures of its path; none is scaled to a horizon. A loss is positive.

Sources: J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th ed., sec. 5.2 (EWMA); Ahmadi-Javid (2012),
Entropic value-at-risk: a new coherent risk measure, J. Optim. Theory Appl. 155, sec. 3 and 4; Chekhlov, Uryasev &
Zabarankin (2005), Drawdown measure in portfolio optimization, Int. J. Theor. Appl. Finance 8, sec. 3; Choueifaty &
Coignard (2008), Toward maximum diversification, J. Portfolio Management 35(1).

Bits: sums here run in an order that their shapes fix, and none is BLAS's, so no thread count moves a bit.
"""

import math

import numpy as np
import scipy

from apps.risk.kernels.filtering import EWMA_DECAY, ewma_volatility
from apps.risk.kernels.historical import FloatArray, expected_shortfall, tail_mass

TRADING_DAYS_PER_YEAR = 252
VOLUME_SHARE = 0.20

# A deviation below this part of the largest number is what rounding leaves of none.
_ROUNDING = 1e-14
_SMALLEST_Z = 1e-20
_UNIT_ROUNDOFF = 2.0**-53


def deviation(numbers: FloatArray) -> FloatArray:
    """Sample standard deviation (n - 1) of each column, (days, ...) to (...); 0.0 where all are alike but for rounding.

    Raises ValueError for fewer than 2 rows.
    """
    if len(numbers) < 2:
        raise ValueError(f"{len(numbers)} days; expected at least 2 for a standard deviation")
    found = np.std(numbers, axis=0, ddof=1)
    return np.asarray(np.where(found <= _ROUNDING * np.abs(numbers).max(axis=0), 0.0, found))


def daily_volatility(pnl: FloatArray, value: float) -> float | None:
    """Standard deviation (n - 1) of pnl / value, a fraction a day.

    None where there is none: fewer than two days, or a value that is not positive. Raises ValueError for NaN or
    infinity.
    """
    return None if _has_no_volatility(pnl, value) else float(deviation(pnl / value))


def annual_volatility(pnl: FloatArray, value: float) -> float | None:
    """daily_volatility x sqrt(252), a fraction a year; None and ValueError as there."""
    daily = daily_volatility(pnl, value)
    return None if daily is None else daily * math.sqrt(TRADING_DAYS_PER_YEAR)


def ewma_annual_volatility(pnl: FloatArray, value: float, decay: float = EWMA_DECAY) -> float | None:
    """The volatility expected for the day after the window, exponentially weighted, x sqrt(252): a fraction a year.

    var(t + 1) = decay var(t) + (1 - decay) r(t)^2 with mean zero, from the window's mean square on (RiskMetrics 1996).
    None and ValueError as for daily_volatility.
    """
    if _has_no_volatility(pnl, value):
        return None
    return float(ewma_volatility(pnl / value, decay)[-1]) * math.sqrt(TRADING_DAYS_PER_YEAR)


def _has_no_volatility(pnl: FloatArray, value: float) -> bool:
    if len(pnl) < 2 or value <= 0:
        return True
    if not (math.isfinite(value) and np.isfinite(pnl).all()):
        raise ValueError("pnl or value holds NaN or infinity; expected finite numbers only")
    return False


def entropic_var(pnl: FloatArray, confidence: float) -> float:
    """Entropic VaR: the least upper bound on VaR and ES that Chernoff's inequality gives, positive for a loss.

    EVaR = inf over z > 0 of z ln(mean(exp(-pnl / z)) / (1 - c)) (Ahmadi-Javid 2012, def. 3.1). The exponent is taken
    relative to the worst loss, in units of the P&L's range, so no P&L is too large or too small. The infimum is where
    the entropy of the tilted scenarios relative to equal ones is -ln(1 - c) (thm. 3.3); where the scenarios that share
    the worst P&L make up 1 - c, it is that loss.
    Raises ValueError for an empty array, NaN or infinity, or a confidence outside (0.5, 1).
    """
    if pnl.ndim != 1 or not len(pnl) or not np.isfinite(pnl).all():
        raise ValueError(f"pnl has shape {pnl.shape}; expected (days,) of finite numbers, at least one")
    worst, best = float(pnl.min()), float(pnl.max())
    # Halved before they are subtracted: the range of two large numbers need not be one.
    half_range = best / 2 - worst / 2
    mass = tail_mass(confidence, len(pnl))
    if half_range == 0:
        return 0.0 - worst
    relative = (worst / 2 - pnl / 2) / half_range
    # Nearer to the worst than a rounding of the range is as bad.
    if np.count_nonzero(relative >= -_UNIT_ROUNDOFF) >= mass:
        return 0.0 - worst
    log_tail = math.log(mass / len(pnl))
    z = _tilt(relative, log_tail)
    total = math.fsum(math.exp(x / z) for x in relative.tolist())
    return 2 * half_range * (z * (math.log(total / len(pnl)) - log_tail)) - worst


def _tilt(relative: FloatArray, log_tail: float) -> float:
    """The z at which the tilted scenarios' relative entropy is -log_tail, to the 24 bits of a float32.

    The bound is flat there: what those bits leave out changes it by less than 1e-14, and what a processor's own
    exponential would change in the last bits of z they leave out.
    """

    def slope(log_z: float) -> float:
        exponents = relative / math.exp(log_z)
        weights = np.exp(exponents)
        total = float(np.add.reduce(weights))
        tilted = float(np.add.reduce(np.multiply(weights, exponents, where=weights > 0, out=np.zeros_like(weights))))
        return math.log(total / len(relative)) - log_tail - tilted / total

    # Relative entropy is at most 1 / z, as `relative` lies between -1 and 0: beyond this z the slope is positive.
    root = scipy.optimize.brentq(slope, math.log(_SMALLEST_Z), math.log(1.0 / -log_tail), xtol=1e-11, rtol=1e-12)
    return float(np.float32(math.exp(root)))


def drawdowns(pnl: FloatArray) -> FloatArray:
    """How far today's book would lie below its highest level so far at each day's close, (days,), from 0 up.

    The path is the running sum of the P&L, not compounded, and starts at 0 before the first day.
    Raises ValueError for NaN or infinity.
    """
    if not np.isfinite(pnl).all():
        raise ValueError("pnl holds NaN or infinity; expected finite numbers only")
    path = np.add.accumulate(pnl)
    return np.asarray(np.maximum(np.maximum.accumulate(path), 0.0) - path)


def max_drawdown(pnl: FloatArray) -> float:
    """The deepest of the drawdowns, 0.0 or more, in currency. Raises ValueError as drawdowns, and for no day."""
    return float(drawdowns(pnl).max())


def conditional_drawdown(pnl: FloatArray, confidence: float) -> float:
    """Conditional drawdown at risk: the mean of the worst (1 - c) of the drawdowns (Chekhlov et al. 2005, def. 3.1).

    The drawdown on the edge is counted by its remaining part, as in expected_shortfall.
    Raises ValueError as drawdowns, for no day, and for a confidence outside (0.5, 1).
    """
    return expected_shortfall(0.0 - drawdowns(pnl), confidence)


def diversification_ratio(returns: FloatArray, values: FloatArray, pnl: FloatArray) -> float | None:
    """Sum of |value| x volatility over the positions, over the volatility of the book: 1.0 or more.

    A short position counts as a holding of the opposite return (Choueifaty & Coignard 2008 has long ones only).
    None where the book does not move. Raises ValueError for fewer than 2 days.
    """
    alone = math.fsum((np.abs(values) * deviation(returns)).tolist())
    together = float(deviation(pnl))
    return max(1.0, alone / together) if together > _ROUNDING * alone else None


def days_to_unwind(days_of_volume: FloatArray, volume_share: float = VOLUME_SHARE) -> FloatArray:
    """Trading days to close each position at `volume_share` of the average daily volume, (symbols,).

    `days_of_volume` (symbols,) is |quantity| / average daily volume, NaN where that is unknown: NaN there.
    Raises ValueError unless 0 < volume_share <= 1, and for a negative number.
    """
    if not 0 < volume_share <= 1:
        raise ValueError(f"volume_share is {volume_share}; expected more than 0 and at most 1, as in 0.2")
    if (days_of_volume < 0).any():
        raise ValueError("days_of_volume holds a negative number; expected |quantity| / average daily volume")
    return days_of_volume / volume_share


def liquidity_horizon(days: FloatArray) -> float | None:
    """The days until the last position is closed, all at once; None where one of them is unknown (NaN)."""
    longest = float(days.max())  # NaN where any is
    return None if math.isnan(longest) else longest

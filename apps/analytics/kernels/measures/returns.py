"""What a series earned. Fractions; figures of a year are for 252 days.

Source: Bacon (2008), Practical Portfolio Performance Measurement and Attribution, 2nd ed., ch. 2.
"""

import numpy as np

from apps.analytics.kernels.facts.known import Facts
from apps.analytics.kernels.facts.rows import FloatArray
from apps.analytics.kernels.measures.figure import (
    FLAT,
    LOST_ALL,
    LOST_MORE,
    NO_MOVE,
    ONE_RETURN,
    ROOT_YEAR,
    annualized,
    compounded,
    deviation,
    figure,
)


@figure()
def total_return(known: Facts) -> FloatArray:
    """(1 + r_1) ... (1 + r_n) - 1."""
    return known.path.end - 1.0


@figure(LOST_MORE)
def annual_return(known: Facts) -> FloatArray:
    """(1 + total_return)^(252 / n) - 1, the compound annual growth rate."""
    return annualized(known.path.end, known.days)


@figure(LOST_MORE)
def expected_daily(known: Facts) -> FloatArray:
    """(1 + total_return)^(1 / n) - 1, the geometric mean."""
    return compounded(known.path.end, 1.0 / known.days)


@figure()
def best_day(known: Facts) -> FloatArray:
    """The largest daily return, a fraction."""
    return known.moments.high


@figure()
def worst_day(known: Facts) -> FloatArray:
    """The smallest daily return, a fraction."""
    return known.moments.low


@figure(NO_MOVE)
def average_return(known: Facts) -> FloatArray:
    """Arithmetic mean of the returns of days on which the value moved."""
    return known.moments.mean * known.days / (known.runs.wins + known.runs.losses)


@figure()
def exposure(known: Facts) -> FloatArray:
    """Time in the market: the part of the days on which the value moved."""
    return (known.runs.wins + known.runs.losses) / known.days


@figure(LOST_MORE, NO_MOVE)
def risk_adjusted_return(known: Facts) -> FloatArray:
    """annual_return / exposure: the return of a year spent in the market throughout."""
    return annual_return(known) / exposure(known)


@figure(ONE_RETURN, LOST_ALL)
def log_volatility(known: Facts) -> FloatArray:
    """Standard deviation (n - 1) of ln(1 + r) x sqrt(252)."""
    return deviation(known.path.log_return_squares, known.days) * ROOT_YEAR


@figure(ONE_RETURN, LOST_ALL, FLAT)
def stability(known: Facts) -> FloatArray:
    """R squared of the regression of log growth on time, 0 to 1."""
    days = known.days
    trend = known.path.log_trend
    moved = np.where(FLAT.holds(known), 0.0, known.path.log_squares)
    return np.asarray(np.minimum(trend * trend / moved / (days * (days * days - 1.0) / 12.0), 1.0))

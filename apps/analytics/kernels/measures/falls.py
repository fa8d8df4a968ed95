"""What a series lost from its peaks, and what it earned for that. Depths of drawdowns are negative, fractions.

Sources: Young (1991), Calmar Ratio, Futures 20; Martin & McCann (1989), The Investor's Guide to Fidelity Funds (ulcer);
Becker (2006), pain index and ratio, Zephyr; Kestner (1996), Getting a Handle on True Performance, Futures 25
(Sterling); Burke (1994), A Sharper Sharpe Ratio, Futures 23; KeyQuant (2013), Introducing the Serenity Ratio; Bacon
(2008), Practical Portfolio Performance Measurement and Attribution, 2nd ed., ch. 4.
"""

import numpy as np

from apps.analytics.kernels.facts.known import Facts
from apps.analytics.kernels.facts.paths import DEEPEST
from apps.analytics.kernels.facts.rows import FloatArray
from apps.analytics.kernels.measures.figure import (
    CONSTANT,
    LOST_MORE,
    NO_DRAWDOWN,
    ONE_RETURN,
    deviation,
    figure,
)
from apps.analytics.kernels.measures.returns import annual_return
from apps.analytics.kernels.measures.risk import annual_volatility
from apps.analytics.kernels.measures.tails import normal_shortfall


@figure()
def max_drawdown(known: Facts) -> FloatArray:
    """Deepest fall below an earlier peak, a fraction of that peak; 0 without one. The start is a peak."""
    return known.path.deepest


@figure(NO_DRAWDOWN)
def average_drawdown(known: Facts) -> FloatArray:
    """Mean depth of all drawdowns."""
    return known.path.drawdown_depths / known.path.drawdowns


@figure(NO_DRAWDOWN)
def average_drawdown_days(known: Facts) -> FloatArray:
    """Mean length of all drawdowns, in trading days from the peak to the recovery or to the end."""
    return known.path.drawdown_days / known.path.drawdowns


@figure()
def longest_drawdown_days(known: Facts) -> FloatArray:
    """Length of the longest, in trading days; 0 without one."""
    return known.path.longest


@figure(NO_DRAWDOWN, LOST_MORE)
def calmar(known: Facts) -> FloatArray:
    """annual_return / |max_drawdown|."""
    return annual_return(known) / np.abs(known.path.deepest)


@figure()
def ulcer_index(known: Facts) -> FloatArray:
    """Root of the mean squared distance below the peak, over all n days."""
    return np.asarray(np.sqrt(known.path.fall_squares / known.days))


@figure()
def pain_index(known: Facts) -> FloatArray:
    """Mean distance below the peak, over all n days, positive."""
    return 0.0 - known.path.fall_sum / known.days


@figure(NO_DRAWDOWN, LOST_MORE)
def martin(known: Facts) -> FloatArray:
    """(annual_return - risk_free_rate) / ulcer_index, the ulcer performance index."""
    return _reward(known) / ulcer_index(known)


@figure(NO_DRAWDOWN, LOST_MORE)
def pain_ratio(known: Facts) -> FloatArray:
    """(annual_return - risk_free_rate) / pain_index."""
    return _reward(known) / pain_index(known)


@figure(NO_DRAWDOWN, LOST_MORE)
def sterling(known: Facts) -> FloatArray:
    """(annual_return - risk_free_rate) / mean absolute depth of the five deepest drawdowns."""
    count = np.minimum(known.path.drawdowns, DEEPEST)
    return _reward(known) * count / -known.path.worst_depths


@figure(NO_DRAWDOWN, LOST_MORE)
def burke(known: Facts) -> FloatArray:
    """(annual_return - risk_free_rate) / root of the sum of squares of the five deepest drawdowns."""
    return _reward(known) / np.sqrt(known.path.worst_squares)


@figure(ONE_RETURN, NO_DRAWDOWN, CONSTANT, LOST_MORE)
def serenity(known: Facts) -> FloatArray:
    """(annual_return - risk_free_rate) / (ulcer_index x pitfall), pitfall = expected shortfall of the days' distances
    below the peak, 95 %, by a normal tail, / annual_volatility."""
    days, total = known.days, known.path.fall_sum
    spread = deviation(np.maximum(known.path.fall_squares - total * total / days, 0.0), days)
    pitfall = (spread * normal_shortfall() - total / days) / annual_volatility(known)
    return _reward(known) / (ulcer_index(known) * pitfall)


@figure(NO_DRAWDOWN)
def recovery_factor(known: Facts) -> FloatArray:
    """total_return / |max_drawdown|."""
    return (known.path.end - 1.0) / np.abs(known.path.deepest)


def _reward(known: Facts) -> FloatArray:
    return annual_return(known) - known.series.risk_free_rate

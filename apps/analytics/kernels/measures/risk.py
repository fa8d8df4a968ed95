"""How much a series moves, the shape of its returns, and what it earned for that. Annualized by sqrt(252).

Excess is the return less the daily risk-free rate (1 + annual)^(1/252) - 1. Sources: Sharpe (1994), The Sharpe Ratio,
J. Portfolio Management 21; Sortino & Price (1994), Performance Measurement in a Downside Risk Framework, J. Investing 3
(shortfall over all n days); Keating & Shadwick (2002), A Universal Performance Measure, J. Performance Measurement 6
(omega); Schwager (2012), Hedge Fund Market Wizards, app. A (gain to pain); Lo (2002), The Statistics of Sharpe Ratios,
Financial Analysts J. 58 (autocorrelation); Bailey & Lopez de Prado (2012), The Sharpe Ratio Efficient Frontier,
J. Risk 15 (probabilistic); Rollinger & Hoffman (2013), Sortino: A Sharper Ratio (division by sqrt(2)); Joanes & Gill
(1998), Comparing measures of sample skewness and kurtosis, The Statistician 47 (G1, G2).
"""

import math

import numpy as np
import scipy

from apps.analytics.kernels.facts.known import Facts
from apps.analytics.kernels.facts.rows import EPS, FloatArray
from apps.analytics.kernels.measures.figure import (
    CONSTANT,
    FOUR_RETURNS,
    NO_LOSS,
    NO_SHORTFALL,
    ONE_RETURN,
    ROOT_YEAR,
    THREE_RETURNS,
    Lack,
    deviation,
    figure,
)

# Above this the closed form of the penalty loses digits, and its terms are added one by one.
_PERSISTENT = 0.9

ALIKE = Lack("all returns but the first or the last are alike", lambda known: ~np.isfinite(autocorrelation(known)))
UNCERTAIN = "too few returns: the variance of the ratio comes out negative"


@figure(ONE_RETURN)
def annual_volatility(known: Facts) -> FloatArray:
    """Standard deviation (n - 1) x sqrt(252)."""
    return deviation(known.moments.squares, known.days) * ROOT_YEAR


@figure()
def downside_risk(known: Facts) -> FloatArray:
    """Root of the mean squared shortfall of the excess below zero, over all n days, x sqrt(252)."""
    return _shortfall(known) * ROOT_YEAR


@figure(ONE_RETURN, CONSTANT)
def sharpe(known: Facts) -> FloatArray:
    """Mean excess over its standard deviation (n - 1), x sqrt(252)."""
    return _daily_sharpe(known) * ROOT_YEAR


@figure(ONE_RETURN, CONSTANT)
def smart_sharpe(known: Facts) -> FloatArray:
    """sharpe / autocorrelation_penalty."""
    return sharpe(known) / autocorrelation_penalty(known)


@figure(FOUR_RETURNS, CONSTANT, Lack(UNCERTAIN, lambda known: _variance(_daily_sharpe(known), known) < 0))
def probabilistic_sharpe(known: Facts) -> FloatArray:
    """Probability that the true Sharpe ratio is above 0, from the sample's length, skew and kurtosis."""
    return probability_above(_daily_sharpe(known), 0.0, known)


@figure(NO_SHORTFALL)
def sortino(known: Facts) -> FloatArray:
    """Mean excess over the daily downside risk, x sqrt(252)."""
    return _daily_sortino(known) * ROOT_YEAR


@figure(NO_SHORTFALL)
def smart_sortino(known: Facts) -> FloatArray:
    """sortino / autocorrelation_penalty."""
    return sortino(known) / autocorrelation_penalty(known)


@figure(NO_SHORTFALL)
def adjusted_sortino(known: Facts) -> FloatArray:
    """sortino / sqrt(2), to be read beside a Sharpe ratio."""
    return sortino(known) / math.sqrt(2)


@figure(
    FOUR_RETURNS,
    CONSTANT,
    NO_SHORTFALL,
    Lack(UNCERTAIN, lambda known: _variance(_daily_sortino(known), known) < 0),
)
def probabilistic_sortino(known: Facts) -> FloatArray:
    """The formula of probabilistic_sharpe with the daily Sortino ratio in its place."""
    return probability_above(_daily_sortino(known), 0.0, known)


@figure(
    FOUR_RETURNS,
    CONSTANT,
    NO_SHORTFALL,
    Lack(UNCERTAIN, lambda known: _variance(_daily_sortino(known) / math.sqrt(2), known) < 0),
)
def probabilistic_adjusted_sortino(known: Facts) -> FloatArray:
    """The same with the daily Sortino ratio / sqrt(2)."""
    return probability_above(_daily_sortino(known) / math.sqrt(2), 0.0, known)


@figure(NO_SHORTFALL)
def omega(known: Facts) -> FloatArray:
    """Sum of excess above zero over that below, both positive."""
    below = -known.moments.shortfall
    above = np.maximum(_mean_excess(known) * known.days + below, 0.0)
    return above / below


@figure(NO_LOSS)
def gain_to_pain(known: Facts) -> FloatArray:
    """Sum of returns over the absolute sum of negative ones, of days."""
    return known.moments.mean * known.days / -known.moments.losses


@figure(ONE_RETURN, CONSTANT)
def risk_return_ratio(known: Facts) -> FloatArray:
    """Mean return over its standard deviation (n - 1), of a day: not annualized, no risk-free rate."""
    return known.moments.mean / deviation(known.moments.squares, known.days)


@figure(THREE_RETURNS, CONSTANT)
def skew(known: Facts) -> FloatArray:
    """G1 = sqrt(n (n - 1)) / (n - 2) x m3 / m2^1.5, bias-corrected."""
    days, second = known.days, known.moments.squares / known.days
    return np.sqrt(days * (days - 1.0)) / (days - 2.0) * (known.moments.cubes / days) / second**1.5


@figure(FOUR_RETURNS, CONSTANT)
def kurtosis(known: Facts) -> FloatArray:
    """G2 = (n - 1) / ((n - 2)(n - 3)) x ((n + 1) (m4 / m2^2 - 3) + 6), in excess of the normal's, bias-corrected."""
    days, second = known.days, known.moments.squares / known.days
    excess = known.moments.fourths / days / (second * second) - 3.0
    return (days - 1.0) / ((days - 2.0) * (days - 3.0)) * ((days + 1.0) * excess + 6.0)


@figure(THREE_RETURNS, CONSTANT, ALIKE)
def autocorrelation(known: Facts) -> FloatArray:
    """Correlation of each day's return with the next day's."""
    found = known.moments
    pairs = known.days - 1.0
    earlier, later = -found.last / pairs, -found.first / pairs
    moved = found.neighbours - pairs * earlier * later
    sizes = [
        found.squares - end * end - pairs * mean * mean for end, mean in ((found.last, earlier), (found.first, later))
    ]
    # Where all days but one are alike, these are differences of equal numbers.
    real = np.minimum(*sizes) > known.days * EPS * found.squares
    return np.asarray(np.clip(moved / np.sqrt(np.where(real, sizes[0] * sizes[1], np.nan)), -1.0, 1.0))


@figure()
def autocorrelation_penalty(known: Facts) -> FloatArray:
    """sqrt(1 + 2 sum over k = 1 .. n - 1 of (n - k) / n x |autocorrelation|^k), 1 where there is none."""
    size = np.abs(autocorrelation(known))
    size = np.broadcast_to(np.where(np.isfinite(size), size, 0.0), known.usable.shape)
    days, rest = known.days, 1.0 - size
    terms = np.array(size / rest - size * (1.0 - size**days) / (days * rest * rest))
    for place in np.flatnonzero(size > _PERSISTENT):
        lags = np.arange(1.0, float(days))
        terms[place] = float(np.add.reduce((days - lags) / days * size[place] ** lags))
    return np.sqrt(1.0 + 2.0 * terms)


def probability_above(ratio: FloatArray, benchmark: FloatArray | float, known: Facts) -> FloatArray:
    """Phi((ratio - benchmark) sqrt(n - 1) / sqrt(1 - skew x ratio + (kurtosis - 1) / 4 x ratio^2)), ratios of a day."""
    return np.asarray(scipy.special.ndtr((ratio - benchmark) * np.sqrt((known.days - 1.0) / _variance(ratio, known))))


def _variance(ratio: FloatArray, known: Facts) -> FloatArray:
    """That of the estimate of a ratio of a day, x (n - 1)."""
    return 1.0 - skew(known) * ratio + (kurtosis(known) + 2.0) / 4.0 * ratio * ratio


def _mean_excess(known: Facts) -> FloatArray:
    return known.moments.mean - known.series.daily_rate


def _shortfall(known: Facts) -> FloatArray:
    return np.asarray(np.sqrt(known.moments.shortfall_squares / known.days))


def _daily_sharpe(known: Facts) -> FloatArray:
    return _mean_excess(known) / deviation(known.moments.squares, known.days)


def _daily_sortino(known: Facts) -> FloatArray:
    return _mean_excess(known) / _shortfall(known)

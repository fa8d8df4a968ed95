"""The worst and the best days of a series. VaR and expected shortfall are positive for a loss, fractions of a day.

Sources: Jorion (2007), Value at Risk, 3rd ed., ch. 10.2 and 5.2; Rockafellar & Uryasev (2002), Conditional
value-at-risk for general loss distributions, J. Banking & Finance 26. Quantiles beside VaR are interpolated (Hyndman &
Fan 1996, Sample Quantiles in Statistical Packages, Amer. Statistician 50, type 7).
"""

import math

import numpy as np
import scipy

from apps.analytics.kernels.facts.known import Facts
from apps.analytics.kernels.facts.rows import ROUNDING_SPREAD, FloatArray
from apps.analytics.kernels.facts.tails import CONFIDENCE
from apps.analytics.kernels.measures.figure import NO_LOSS, NO_WIN, ONE_RETURN, Lack, deviation, figure

NO_TAIL = Lack(
    "the 5 % quantile of the returns is zero", lambda known: np.abs(known.tails.percent_5) <= ROUNDING_SPREAD
)


def normal_quantile() -> float:
    """The 95 % quantile of a standard normal distribution."""
    return float(scipy.special.ndtri(CONFIDENCE))


def normal_shortfall() -> float:
    """The mean beyond its 95 % quantile."""
    return math.exp(-(normal_quantile() ** 2) / 2) / math.sqrt(2 * math.pi) / (1 - CONFIDENCE)


@figure()
def var_95(known: Facts) -> FloatArray:
    """Minus the k-th worst return, k = ceil(0.05 n): not interpolated."""
    return known.tails.value_at_risk


@figure()
def cvar_95(known: Facts) -> FloatArray:
    """Minus the mean of the worst 5 % of the returns, the one on the edge counted in part."""
    return known.tails.expected_shortfall


@figure(ONE_RETURN)
def var_95_normal(known: Facts) -> FloatArray:
    """1.645 x standard deviation - mean, as if the returns were normal."""
    return deviation(known.moments.squares, known.days) * normal_quantile() - known.moments.mean


@figure(ONE_RETURN)
def cvar_95_normal(known: Facts) -> FloatArray:
    """2.063 x standard deviation - mean, as if the returns were normal."""
    return deviation(known.moments.squares, known.days) * normal_shortfall() - known.moments.mean


@figure(NO_TAIL)
def tail_ratio(known: Facts) -> FloatArray:
    """|95 % quantile| / |5 % quantile|."""
    low = known.tails.percent_5
    return np.abs(known.tails.percent_95) / np.where(np.abs(low) <= ROUNDING_SPREAD, 0.0, np.abs(low))


@figure(NO_WIN)
def outlier_win_ratio(known: Facts) -> FloatArray:
    """99 % quantile over the mean return of the days that did not lose."""
    gains = known.moments.mean * known.days - known.moments.losses
    mean = np.where(known.runs.wins > 0, gains, 0.0) / (known.days - known.runs.losses)
    return known.tails.percent_99 / mean


@figure(NO_LOSS)
def outlier_loss_ratio(known: Facts) -> FloatArray:
    """1 % quantile over the mean return of the days that lost."""
    return known.tails.percent_1 * known.runs.losses / known.moments.losses

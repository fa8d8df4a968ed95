"""The worst and the best returns of a series: a partition on either side, and only what lies beyond it is sorted."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from apps.analytics.kernels.facts.rows import FloatArray
from apps.risk.kernels.historical import tail_count

CONFIDENCE = 0.95
_TAIL = Fraction(1, 20)  # 1 - CONFIDENCE, exactly


@dataclass(frozen=True, slots=True)
class Tails:
    """Returns, (portfolios,): quantiles interpolated as numpy's and pandas' are, VaR and expected shortfall positive
    for a loss and not interpolated (contract, section 5)."""

    percent_1: FloatArray
    percent_5: FloatArray
    percent_95: FloatArray
    percent_99: FloatArray
    value_at_risk: FloatArray
    expected_shortfall: FloatArray


def tails(returns: FloatArray) -> Tails:
    """From rows (portfolios, days)."""
    days = returns.shape[1]
    count = tail_count(CONFIDENCE, days)
    last = max(count - 1, min(days - 1, math.floor((days - 1) * 0.05) + 1))
    begin = math.floor((days - 1) * 0.95)
    worst = np.sort(np.partition(returns, last, axis=1)[:, : last + 1], axis=1)
    best = np.sort(np.partition(returns, begin, axis=1)[:, begin:], axis=1)
    return Tails(
        _quantile(worst, 0, (days - 1) * 0.01),
        _quantile(worst, 0, (days - 1) * 0.05),
        _quantile(best, begin, (days - 1) * 0.95),
        _quantile(best, begin, (days - 1) * 0.99),
        0.0 - worst[:, count - 1],
        0.0 - _mean_of_the_worst(worst[:, :count], Fraction(days) * _TAIL),
    )


def _quantile(ordered: FloatArray, begin: int, place: float) -> FloatArray:
    """The value at `place` of all days in order, of which `ordered` holds those from `begin` on."""
    below = math.floor(place)
    low = ordered[:, below - begin]
    high = ordered[:, min(below - begin + 1, ordered.shape[1] - 1)]
    return np.asarray(low + (high - low) * (place - below))


def _mean_of_the_worst(worst: FloatArray, mass: Fraction) -> FloatArray:
    """Rockafellar & Uryasev (2002), prop. 8: the last counts by its part; as `expected_shortfall` of the risk app."""
    if mass <= 1:
        return worst[:, 0]
    last = worst[:, -1] * float(mass - (worst.shape[1] - 1))
    return np.asarray((np.add.accumulate(worst[:, :-1], axis=1)[:, -1] + last) / float(mass))

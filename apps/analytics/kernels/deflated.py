"""The Sharpe ratio of the best of many trials, against what the best of as many without skill would show."""

import math

import numpy as np
import scipy

from apps.analytics.kernels.facts.known import Facts, Series, gather
from apps.analytics.kernels.facts.rows import FloatArray
from apps.analytics.kernels.measures.risk import probability_above, sharpe
from apps.risk.kernels.measures import TRADING_DAYS_PER_YEAR

_EULER = 0.5772156649015329


def deflated_sharpe(returns: FloatArray, trial_sharpes: FloatArray, risk_free_rate: float = 0.0) -> float | None:
    """Probability that the true Sharpe ratio is above the expected largest of the trials, were none of them skilled.

    `returns` (days,) of the one chosen; `trial_sharpes` (trials,) annual Sharpe ratios of all that were tried, itself
    included; `risk_free_rate` annual. With V the trials' variance (n - 1), daily, and N their number, the benchmark is
    sqrt(V) ((1 - g) z(1 - 1/N) + g z(1 - 1/(N e))), g Euler's constant; 0 for one trial, which makes it the
    probabilistic Sharpe ratio. Bailey & Lopez de Prado (2014), The Deflated Sharpe Ratio, J. Portfolio Management 40.
    None where the series has no probabilistic Sharpe ratio. Raises ValueError for no trials, or one that is no number.
    """
    if returns.ndim != 1 or len(returns) == 0:
        raise ValueError(f"returns has shape {returns.shape}; expected (days,) with at least one day")
    if trial_sharpes.ndim != 1 or len(trial_sharpes) == 0 or not np.isfinite(trial_sharpes).all():
        raise ValueError(f"trial_sharpes has shape {trial_sharpes.shape}; expected (trials,), finite, at least one")
    daily_rate: float = (1.0 + risk_free_rate) ** (1 / TRADING_DAYS_PER_YEAR) - 1.0
    known = gather(Series(returns[:, None], None, risk_free_rate, daily_rate, None))
    return _probability(known, expected_largest(trial_sharpes / math.sqrt(TRADING_DAYS_PER_YEAR)))


def expected_largest(trial_sharpes: FloatArray) -> float:
    """Of so many trials without skill that spread as these do, (trials,): their expected largest ratio."""
    trials = len(trial_sharpes)
    if trials == 1:
        return 0.0
    quantiles = scipy.special.ndtri(1 - 1 / trials), scipy.special.ndtri(1 - 1 / (trials * math.e))
    return float(np.std(trial_sharpes, ddof=1) * ((1 - _EULER) * quantiles[0] + _EULER * quantiles[1]))


@np.errstate(all="ignore")
def _probability(known: Facts, benchmark: float) -> float | None:
    found = float(probability_above(sharpe(known) / math.sqrt(TRADING_DAYS_PER_YEAR), benchmark, known)[0])
    return found if math.isfinite(found) and known.usable[0] else None

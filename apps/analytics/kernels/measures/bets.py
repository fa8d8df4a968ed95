"""Days as bets: how many were won, how much on each, and how many in a row.

A day whose return is zero, but for rounding, is neither won nor lost. Sources: Kelly (1956), A New Interpretation of
Information Rate, Bell System Technical J. 35; Vince (1990), Portfolio Management Formulas (risk of ruin). The CPC
index, the common sense ratio and the profit ratio are known by quantstats' definitions.
"""

import numpy as np

from apps.analytics.kernels.facts.known import Facts
from apps.analytics.kernels.facts.rows import FloatArray
from apps.analytics.kernels.measures.figure import NO_LOSS, NO_MOVE, NO_WIN, figure
from apps.analytics.kernels.measures.tails import NO_TAIL, tail_ratio


@figure(NO_MOVE)
def win_rate(known: Facts) -> FloatArray:
    """Days won over days won or lost."""
    return known.runs.wins / (known.runs.wins + known.runs.losses)


@figure(NO_WIN)
def average_win(known: Facts) -> FloatArray:
    """Mean return of the days won."""
    return _gains(known) / known.runs.wins


@figure(NO_LOSS)
def average_loss(known: Facts) -> FloatArray:
    """Mean return of the days lost, negative."""
    return known.moments.losses / known.runs.losses


@figure(NO_WIN, NO_LOSS)
def payoff(known: Facts) -> FloatArray:
    """average_win / |average_loss|."""
    return average_win(known) / -average_loss(known)


@figure(NO_LOSS)
def profit_factor(known: Facts) -> FloatArray:
    """Sum of gains over the absolute sum of losses."""
    return _gains(known) / -known.moments.losses


@figure(NO_LOSS)
def profit_ratio(known: Facts) -> FloatArray:
    """Mean return / number of the days not lost, over the absolute mean return / number of the days lost."""
    others = known.days - known.runs.losses
    not_lost = np.where(others > 0, _gains(known) / (others * others), 0.0)
    return not_lost * known.runs.losses * known.runs.losses / -known.moments.losses


@figure(NO_WIN, NO_LOSS)
def kelly(known: Facts) -> FloatArray:
    """win_rate - (1 - win_rate) / payoff: the part of the capital to bet."""
    return win_rate(known) - (1.0 - win_rate(known)) / payoff(known)


@figure(NO_MOVE)
def risk_of_ruin(known: Facts) -> FloatArray:
    """((1 - win_rate) / (1 + win_rate))^n, a probability."""
    rate = win_rate(known)
    return np.asarray(np.power((1.0 - rate) / (1.0 + rate), known.days))


@figure(NO_WIN, NO_LOSS)
def cpc_index(known: Facts) -> FloatArray:
    """profit_factor x win_rate x payoff."""
    return profit_factor(known) * win_rate(known) * payoff(known)


@figure(NO_LOSS, NO_TAIL)
def common_sense_ratio(known: Facts) -> FloatArray:
    """profit_factor x tail_ratio."""
    return profit_factor(known) * tail_ratio(known)


@figure()
def longest_winning_streak(known: Facts) -> FloatArray:
    """Most days won in a row."""
    return known.runs.longest_winning


@figure()
def longest_losing_streak(known: Facts) -> FloatArray:
    """Most days lost in a row."""
    return known.runs.longest_losing


def _gains(known: Facts) -> FloatArray:
    """Sum of the returns of the days won; 0 where none was, whatever rounding leaves of the difference."""
    return np.where(known.runs.wins > 0, known.moments.mean * known.days - known.moments.losses, 0.0)

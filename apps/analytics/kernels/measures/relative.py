"""A series beside its benchmark. Betas and alphas are of simple daily returns; active is the return less the
benchmark's; excess is less the daily risk-free rate.

Sources: Jensen (1968), The Performance of Mutual Funds, J. Finance 23 (alpha); Treynor (1965), How to Rate Management
of Investment Funds, Harvard Business Review 43; Modigliani & Modigliani (1997), Risk-Adjusted Performance, J. Portfolio
Management 23 (M2); Grinold & Kahn (2000), Active Portfolio Management, 2nd ed., ch. 5 (information ratio); Bacon
(2008), Practical Portfolio Performance Measurement and Attribution, 2nd ed., ch. 4 (capture); Treynor & Mazuy (1966),
Can Mutual Funds Outguess the Market?, Harvard Business Review 44; Henriksson & Merton (1981), On Market Timing and
Investment Performance II, J. Business 54; Taleb & Douady (2013), Mathematical definition, mapping, and detection of
(anti)fragility, Quantitative Finance 13 (fragility, in empyrical's form).
"""

import numpy as np

from apps.analytics.kernels.facts.known import Facts
from apps.analytics.kernels.facts.rows import FloatArray
from apps.analytics.kernels.measures.figure import (
    CONSTANT,
    CONSTANT_BENCHMARK,
    LOST_MORE,
    NO_BENCHMARK,
    NO_FALL,
    NO_REGRESSION,
    NO_RISE,
    ONE_RETURN,
    ROOT_YEAR,
    THREE_RETURNS,
    YEAR,
    Lack,
    annualized,
    compounded,
    deviation,
    figure,
)
from apps.analytics.kernels.measures.returns import annual_return
from apps.analytics.kernels.measures.risk import sharpe

# A slope this small is what rounding leaves of none.
_NO_SLOPE = 1e-12

NO_ACTIVE_RISK = Lack("the active returns do not vary", lambda known: known.against.active_squares == 0)
NO_BETA = Lack("beta is zero", lambda known: np.abs(beta(known)) <= _NO_SLOPE)
LOST_IN_RISES = Lack("more than everything was lost on such days", lambda known: known.against.up_end < 0)
LOST_IN_FALLS = Lack("more than everything was lost on such days", lambda known: known.against.down_end < 0)
NO_INTERCEPT = Lack("the daily intercept is below -100 %", lambda known: _intercept(known) < -1)
STILL_RISES = Lack("the benchmark does not vary on the days it rises", lambda known: known.market.up_squares == 0)
STILL_FALLS = Lack("the benchmark does not vary on the days it falls", lambda known: known.market.down_squares == 0)
STILL_BENCHMARK = Lack("the benchmark ends where it began", lambda known: np.abs(_annual_benchmark(known)) <= _NO_SLOPE)
NO_DOWN_CAPTURE = Lack("down_capture is zero", lambda known: np.abs(down_capture(known)) <= _NO_SLOPE)
NO_DAY_NOT_DOWN = Lack("the benchmark falls on all days", lambda known: known.market.days_not_down == 0)
NO_CURVE = Lack("the benchmark has too few different returns", lambda known: known.market.timing_squares == 0)
NO_OPTION = Lack(
    "the benchmark stays on one side of the risk-free rate", lambda known: known.market.option_squares == 0
)


@figure(NO_BENCHMARK, NO_REGRESSION, CONSTANT_BENCHMARK, NO_INTERCEPT)
def alpha(known: Facts) -> FloatArray:
    """Jensen's, (1 + a)^252 - 1 with a = mean excess - beta x the benchmark's mean excess."""
    return _alpha(known, known.moments.mean, known.market.mean, beta(known))


@figure(NO_BENCHMARK, NO_REGRESSION, CONSTANT_BENCHMARK)
def beta(known: Facts) -> FloatArray:
    """Slope of the regression of returns on the benchmark's: covariance over variance."""
    return known.against.products / known.market.squares


@figure(NO_BENCHMARK, NO_REGRESSION, CONSTANT, CONSTANT_BENCHMARK)
def correlation(known: Facts) -> FloatArray:
    """Pearson's, of the days' returns."""
    sizes = np.sqrt(known.moments.squares) * np.sqrt(known.market.squares)
    return np.asarray(np.clip(known.against.products / sizes, -1.0, 1.0))


@figure(NO_BENCHMARK, NO_REGRESSION, CONSTANT, CONSTANT_BENCHMARK)
def r_squared(known: Facts) -> FloatArray:
    """correlation^2: the part of the variance that the benchmark explains."""
    return correlation(known) ** 2


@figure(NO_BENCHMARK, ONE_RETURN)
def tracking_error(known: Facts) -> FloatArray:
    """Standard deviation (n - 1) of active returns x sqrt(252)."""
    return deviation(known.against.active_squares, known.days) * ROOT_YEAR


@figure(NO_BENCHMARK, LOST_MORE)
def active_return(known: Facts) -> FloatArray:
    """annual_return less the benchmark's."""
    return annual_return(known) - _annual_benchmark(known)


@figure(NO_BENCHMARK, ONE_RETURN, NO_ACTIVE_RISK)
def information_ratio(known: Facts) -> FloatArray:
    """Mean active return over its standard deviation (n - 1), x sqrt(252)."""
    return known.against.active_mean / deviation(known.against.active_squares, known.days) * ROOT_YEAR


@figure(NO_BENCHMARK, NO_REGRESSION, CONSTANT_BENCHMARK, NO_BETA, LOST_MORE)
def treynor(known: Facts) -> FloatArray:
    """(annual_return - risk_free_rate) / beta."""
    slope = beta(known)
    return (annual_return(known) - known.series.risk_free_rate) / np.where(np.abs(slope) <= _NO_SLOPE, np.nan, slope)


@figure(NO_BENCHMARK, ONE_RETURN, CONSTANT)
def m_squared(known: Facts) -> FloatArray:
    """risk_free_rate + sharpe x the benchmark's annual volatility: the return at the benchmark's risk."""
    volatility = deviation(known.market.squares, known.days) * ROOT_YEAR
    return known.series.risk_free_rate + sharpe(known) * volatility


@figure(NO_BENCHMARK, LOST_MORE, STILL_BENCHMARK)
def capture(known: Facts) -> FloatArray:
    """annual_return over the benchmark's."""
    return annual_return(known) / _moved(_annual_benchmark(known))


@figure(NO_BENCHMARK, NO_RISE, LOST_IN_RISES)
def up_capture(known: Facts) -> FloatArray:
    """Annualized return over the benchmark's, of the days on which the benchmark rises."""
    market = known.market
    return annualized(known.against.up_end, market.up_days) / annualized(market.up_end, market.up_days)


@figure(NO_BENCHMARK, NO_FALL, LOST_IN_FALLS)
def down_capture(known: Facts) -> FloatArray:
    """Annualized return over the benchmark's, of the days on which the benchmark falls."""
    market = known.market
    return annualized(known.against.down_end, market.down_days) / annualized(market.down_end, market.down_days)


@figure(NO_BENCHMARK, NO_RISE, NO_FALL, LOST_IN_RISES, LOST_IN_FALLS, NO_DOWN_CAPTURE)
def up_down_capture(known: Facts) -> FloatArray:
    """up_capture / down_capture."""
    return up_capture(known) / _moved(down_capture(known))


@figure(NO_BENCHMARK)
def batting_average(known: Facts) -> FloatArray:
    """Part of the days on which the return is above the benchmark's."""
    return known.against.beaten / known.days


@figure(NO_BENCHMARK, NO_DAY_NOT_DOWN)
def batting_average_up(known: Facts) -> FloatArray:
    """The same, of the days on which the benchmark does not fall."""
    return known.against.beaten_up / known.market.days_not_down


@figure(NO_BENCHMARK, NO_FALL)
def batting_average_down(known: Facts) -> FloatArray:
    """The same, of the days on which the benchmark falls."""
    return (known.against.beaten - known.against.beaten_up) / known.market.down_days


@figure(NO_BENCHMARK, NO_RISE, STILL_RISES)
def alpha_up(known: Facts) -> FloatArray:
    """alpha of the days on which the benchmark rises."""
    return _alpha(known, known.against.up_mean, known.market.up_mean, beta_up(known))


@figure(NO_BENCHMARK, NO_RISE, STILL_RISES)
def beta_up(known: Facts) -> FloatArray:
    """beta of the days on which the benchmark rises."""
    return known.against.up_products / known.market.up_squares


@figure(NO_BENCHMARK, NO_FALL, STILL_FALLS)
def alpha_down(known: Facts) -> FloatArray:
    """alpha of the days on which the benchmark falls."""
    return _alpha(known, known.against.down_mean, known.market.down_mean, beta_down(known))


@figure(NO_BENCHMARK, NO_FALL, STILL_FALLS)
def beta_down(known: Facts) -> FloatArray:
    """beta of the days on which the benchmark falls."""
    return known.against.down_products / known.market.down_squares


@figure(NO_BENCHMARK, THREE_RETURNS)
def beta_fragility(known: Facts) -> FloatArray:
    """How far the returns at the benchmark's lowest and highest lie above the line through that at its middle day."""
    market, against = known.market, known.against
    width = market.high - market.low
    weight = np.where(width > 0, (market.high - market.middle) / width, 0.5)
    return weight * against.at_low + (1.0 - weight) * against.at_high - against.at_middle


@figure(NO_BENCHMARK, THREE_RETURNS, CONSTANT_BENCHMARK, NO_CURVE)
def treynor_mazuy(known: Facts) -> FloatArray:
    """Coefficient of the benchmark's squared excess in the regression of excess on it and on the excess: timing, > 0
    where beta is larger when the benchmark rises."""
    return known.against.timing_products / known.market.timing_squares


@figure(NO_BENCHMARK, THREE_RETURNS, CONSTANT_BENCHMARK, NO_OPTION)
def henriksson_merton(known: Facts) -> FloatArray:
    """Coefficient of max(0, -the benchmark's excess) in its place: by how much beta is lower when it falls."""
    return known.against.option_products / known.market.option_squares


def _alpha(known: Facts, mean: FloatArray, of_market: FloatArray, slope: FloatArray) -> FloatArray:
    """Of the mean return, the benchmark's and the slope on any choice of days."""
    rate = known.series.daily_rate
    return compounded(1.0 + (mean - rate) - slope * (of_market - rate), YEAR)


def _intercept(known: Facts) -> FloatArray:
    rate = known.series.daily_rate
    return (known.moments.mean - rate) - beta(known) * (known.market.mean - rate)


def _annual_benchmark(known: Facts) -> FloatArray:
    return annualized(known.market.end, known.days)


def _moved(rate: FloatArray) -> FloatArray:
    return np.where(np.abs(rate) <= _NO_SLOPE, np.nan, rate)

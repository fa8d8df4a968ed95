"""Statistics of a backtest: forecasts of VaR and ES against the P&L that came, one row a day, oldest first.

Shapes: `realized`, `var`, `es` (days,), float64, in one currency; a loss is negative in `realized` and positive in
`var` and `es`. `confidence` c is that of the forecasts, 0.5 < c < 1; alpha = 1 - c, exact before the one rounding.
An exception is a day with realized < -var: a loss of the VaR itself is none. 0 ln 0 is 0 throughout.

Sources: Kupiec (1995), J. Derivatives 3(2); Christoffersen (1998), Int. Economic Review 39(4), sec. 3; Basel Committee
(1996), Supervisory framework for the use of "backtesting", table 2; Basel Committee (2019), MAR32.9; Acerbi &
Szekely (2014), Backtesting expected shortfall, Risk, sec. 2.2; Koenker & Bassett (1978), Econometrica 46 (pinball);
Fissler & Ziegel (2016), Annals of Statistics 44, and Patton, Ziegel & Chen (2019), J. Econometrics 211, eq. 6 (FZ0).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from apps.risk.kernels.historical import tail_mass

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SIGNIFICANCE = 0.05
NULL_SIMULATIONS = 20_000
ES_BELOW_VAR_TOLERANCE = 1e-9

# Fixed: the same forecasts have the same p-value, and methods are compared on the same draws.
_NULL_SEED = 2014
_EXCEPTIONS_AT_A_TIME = 500_000

# What 0, 1, 2, ... exceptions in 250 days at 99 % add to the multiplier: Basel Committee (1996), table 2, and (2019).
_BASEL_DAYS, _BASEL_CONFIDENCE = 250, 0.99
_PLUS_FACTORS_1996 = (0.0, 0.0, 0.0, 0.0, 0.0, 0.40, 0.50, 0.65, 0.75, 0.85, 1.00)
_PLUS_FACTORS_2019 = (0.0, 0.0, 0.0, 0.0, 0.0, 0.20, 0.26, 0.33, 0.38, 0.42, 0.50)
_YELLOW_FROM, _RED_FROM = 0.95, 0.9999


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A likelihood ratio, 0 or more, and the probability of one at least as large if the hypothesis holds."""

    statistic: float
    p_value: float

    @property
    def reject_95(self) -> bool:
        return self.p_value < SIGNIFICANCE


@dataclass(frozen=True, slots=True)
class ShortfallTest:
    """Z2 (0 expected, negative where ES was too low), its one-sided p-value, and the 5 % quantile of its null."""

    statistic: float
    p_value: float
    critical_value_95: float

    @property
    def reject_95(self) -> bool:
        return self.p_value < SIGNIFICANCE


@dataclass(frozen=True, slots=True)
class TrafficLight:
    """`plus_factor` is that of 1996 (on a multiplier of 3), `plus_factor_2019` that of 2019 (on 1.5).

    Both are None where the Committee's table does not apply: other than 250 days at 99 %.
    """

    zone: str
    cumulative_probability: float
    plus_factor: float | None
    plus_factor_2019: float | None


def exceptions(realized: FloatArray, var: FloatArray) -> BoolArray:
    """The days on which more was lost than the VaR, (days,). Raises ValueError as every function here does."""
    _check_days(realized=realized, var=var)
    return np.asarray(realized < -var)


def kupiec_pof(exceptions_count: int, days: int, confidence: float) -> LikelihoodRatio:
    """Proportion of failures: is the rate of exceptions alpha?

    With x exceptions in n days, LR = -2 ln[ (1 - alpha)^(n-x) alpha^x / ((1 - x/n)^(n-x) (x/n)^x) ], chi-square of one
    degree of freedom as n grows. No exception: -2 n ln(1 - alpha); all: -2 n ln alpha.
    Raises ValueError for a count outside 0 to n, n < 1, or a confidence outside (0.5, 1).
    """
    _check_count(exceptions_count, days)
    calm = days - exceptions_count
    assumed = _log_likelihood(calm, exceptions_count, tail_mass(confidence, 1))
    return _ratio(assumed, _log_likelihood(calm, exceptions_count, exceptions_count / days), 1)


def christoffersen_independence(hits: BoolArray, follows: BoolArray | None = None) -> LikelihoodRatio:
    """Is an exception as likely after an exception as after a calm day?

    With n_ij pairs of neighbouring days from state i to j (1: exception), pi_i = n_i1 / (n_i0 + n_i1) and
    pi = (n_01 + n_11) / all: LR = -2 ln[ L(pi) / (L(pi_0) L(pi_1)) ], chi-square of one degree of freedom.
    `hits` (days,); `follows` (days,) says which days follow the one in the row before, all where it is None: a pair
    across a gap is no pair. With no exception, or nothing but exceptions, or no pair, LR is 0: nothing speaks against.
    Raises ValueError for shapes that do not fit or no day.
    """
    _check_hits(hits, follows)
    n00, n01, n10, n11 = _transitions(hits, follows)
    together = _log_likelihood(n00 + n10, n01 + n11, _share(n01 + n11, n00 + n01 + n10 + n11))
    after_calm = _log_likelihood(n00, n01, _share(n01, n00 + n01))
    after_hit = _log_likelihood(n10, n11, _share(n11, n10 + n11))
    return _ratio(together, after_calm + after_hit, 1)


def conditional_coverage(kupiec: LikelihoodRatio, independence: LikelihoodRatio) -> LikelihoodRatio:
    """Rate and independence at once: the sum of both ratios, chi-square of two degrees of freedom.

    As in Jorion (2007), Value at Risk, 3rd ed., ch. 6.2.3: the rate is judged on all days, not on all but the first.
    """
    statistic = kupiec.statistic + independence.statistic
    return LikelihoodRatio(statistic, float(scipy.special.chdtrc(2, statistic)))


def traffic_light(exceptions_count: int, days: int, confidence: float) -> TrafficLight:
    """Green, yellow from 95 %, red from 99.99 % of P(K <= x), K binomial (days, alpha): the Basel Committee's zones.

    Raises ValueError as kupiec_pof does.
    """
    _check_count(exceptions_count, days)
    cumulative = float(scipy.special.bdtr(exceptions_count, days, tail_mass(confidence, 1)))
    zone = "green" if cumulative < _YELLOW_FROM else "yellow" if cumulative < _RED_FROM else "red"
    if (days, confidence) != (_BASEL_DAYS, _BASEL_CONFIDENCE):
        return TrafficLight(zone, cumulative, None, None)
    row = min(exceptions_count, len(_PLUS_FACTORS_1996) - 1)
    return TrafficLight(zone, cumulative, _PLUS_FACTORS_1996[row], _PLUS_FACTORS_2019[row])


def acerbi_szekely_z2(
    realized: FloatArray,
    var: FloatArray,
    es: FloatArray,
    confidence: float,
    simulations: int = NULL_SIMULATIONS,
) -> ShortfallTest:
    """Z2 = 1 + sum over exceptions of realized_t / (n alpha ES_t), with its p-value from a simulated null.

    0 is expected where VaR and ES are right, less where losses were larger or more frequent; with no exception it is 1.
    Null: exceptions come with probability alpha, one day as another; the loss on one is VaR_t plus an exponential
    excess of mean ES_t - VaR_t, the distribution of largest entropy among all that have this VaR and ES. So any
    forecast can be tested, at any n and c. For normal forecasts at 97.5 % over 250 days its 5 % and 0.01 % quantiles
    are -0.70 and -1.80, as published; where the truth has much fatter tails than exponential (Student t of 3 degrees:
    -0.82 published, -0.75 here) it rejects somewhat too often.
    p = (1 + draws at or below Z2) / (1 + draws).
    Raises ValueError for an ES that is not above 0 or is below its VaR, naming its row.
    """
    _check_days(realized=realized, var=var, es=es)
    _check_shortfall(var, es)
    expected = tail_mass(confidence, len(realized))
    hits = exceptions(realized, var)
    statistic = 1.0 + float(np.sum(realized[hits] / es[hits])) / expected
    null = _null_z2(var / es, confidence, simulations)
    p_value = (1 + int(np.count_nonzero(null <= statistic))) / (1 + simulations)
    return ShortfallTest(statistic, p_value, float(np.quantile(null, SIGNIFICANCE)))


def pinball_loss(realized: FloatArray, var: FloatArray, confidence: float) -> float:
    """Mean of (alpha - [realized < -var]) (realized + var), least for the true VaR; in the P&L's currency."""
    alpha = tail_mass(confidence, 1)
    hits = exceptions(realized, var)
    return float(np.mean((alpha - hits) * (realized + var)))


def fz0_score(realized: FloatArray, var: FloatArray, es: FloatArray, confidence: float) -> float:
    """Mean of [realized < -var] (-var - realized) / (alpha ES) + VaR / ES + ln ES - 1: least for the true pair.

    No ES alone can be scored; the pair can (Fissler & Ziegel 2016). Differences between methods do not depend on the
    currency's unit or on the book's size, which enter by ln ES alone, alike for all.
    Raises ValueError for an ES that is not above 0, naming its row.
    """
    _check_days(realized=realized, var=var, es=es)
    _check_positive(es)
    beyond = np.where(exceptions(realized, var), -var - realized, 0.0)
    return float(np.mean(beyond / (tail_mass(confidence, 1) * es) + var / es + np.log(es) - 1.0))


def _null_z2(ratio: FloatArray, confidence: float, simulations: int) -> FloatArray:
    """`simulations` draws of Z2 under its null; `ratio` (days,) is VaR / ES."""
    draws = np.random.default_rng(_NULL_SEED)
    expected = tail_mass(confidence, len(ratio))
    at_a_time = max(1, math.ceil(_EXCEPTIONS_AT_A_TIME / expected))
    blocks = [min(at_a_time, simulations - start) for start in range(0, simulations, at_a_time)]
    sums = [_null_sums(draws, ratio, tail_mass(confidence, 1), block) for block in blocks]
    return 1.0 - np.concatenate(sums) / expected


def _null_sums(draws: np.random.Generator, ratio: FloatArray, alpha: float, simulations: int) -> FloatArray:
    """The sum of loss / ES over the exceptions of each simulation.

    All simulations' days are one row of coin flips, of which the heads alone are drawn, by the gaps between them:
    work grows with the exceptions, not with the days.
    """
    cells = simulations * len(ratio)
    enough = int(cells * alpha + 6 * math.sqrt(cells * alpha)) + 10
    place = np.cumsum(draws.geometric(alpha, enough)) - 1
    while place[-1] < cells:
        place = np.concatenate([place, place[-1] + np.cumsum(draws.geometric(alpha, enough))])
    simulation, day = np.divmod(place[place < cells], len(ratio))
    losses = ratio[day] + (1.0 - ratio[day]) * draws.standard_exponential(len(day))
    return np.bincount(simulation, weights=losses, minlength=simulations).astype(np.float64)


def _log_likelihood(calm: int, hit: int, probability: float) -> float:
    return float(scipy.special.xlogy(calm, 1.0 - probability) + scipy.special.xlogy(hit, probability))


def _ratio(assumed: float, free: float, degrees: int) -> LikelihoodRatio:
    # The free likelihood is the larger one; rounding may say otherwise by a last bit.
    statistic = max(0.0, 2.0 * (free - assumed))
    return LikelihoodRatio(statistic, float(scipy.special.chdtrc(degrees, statistic)))


def _transitions(hits: BoolArray, follows: BoolArray | None) -> tuple[int, int, int, int]:
    pairs = slice(None) if follows is None else follows[1:]
    before, after = hits[:-1][pairs], hits[1:][pairs]
    kinds = np.bincount(2 * before.astype(np.intp) + after, minlength=4)
    return int(kinds[0]), int(kinds[1]), int(kinds[2]), int(kinds[3])


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _check_days(**arrays: FloatArray) -> None:
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or next(iter(arrays.values())).ndim != 1:
        shown = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{shown}; expected all (days,), of one length")
    for name, array in arrays.items():
        if not len(array):
            raise ValueError(f"{name} is empty; expected at least one day")
        if not np.isfinite(array).all():
            row = int(np.argmin(np.isfinite(array)))
            raise ValueError(f"{name}[{row}] is {array[row]}; expected finite numbers only")


def _check_hits(hits: BoolArray, follows: BoolArray | None) -> None:
    if hits.ndim != 1 or not len(hits) or (follows is not None and follows.shape != hits.shape):
        shape = None if follows is None else follows.shape
        raise ValueError(f"hits {hits.shape}, follows {shape}; expected both (days,), of one length, at least one day")


def _check_count(exceptions_count: int, days: int) -> None:
    if days < 1 or not 0 <= exceptions_count <= days:
        raise ValueError(f"{exceptions_count} exceptions in {days} days; expected 0 to the number of days, at least 1")


def _check_positive(es: FloatArray) -> None:
    if (es <= 0).any():
        row = int(np.argmax(es <= 0))
        raise ValueError(f"es[{row}] is {es[row]}; expected more than 0, as it is divided by")


def _check_shortfall(var: FloatArray, es: FloatArray) -> None:
    _check_positive(es)
    below = es < var * (1 - ES_BELOW_VAR_TOLERANCE)
    if below.any():
        row = int(np.argmax(below))
        raise ValueError(f"es[{row}] is {es[row]}, below the VaR of {var[row]}; expected at least that")

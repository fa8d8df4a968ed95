"""VaR and expected shortfall from an elliptical distribution: normal and Student t.

Shapes: `returns` (days, symbols), fractions; `values` (symbols,), currency; `pnl` (days,), currency. VaR and ES are
positive for a loss.

Elliptical distributions (normal, Student t): a book's P&L is location + dispersion x a standard variable, so every
figure of every book is a pair (location, dispersion) times the same two quantiles. The split is Euler's derivative, and
it is linear: position i bears location_i + beta_i (figure + location), beta_i = cov(i, book) / var(book).

Sources: Jorion (2007), Value at Risk, 3rd ed., ch. 5 and 7; McNeil, Frey & Embrechts (2015), Quantitative Risk
Management, 2nd ed., ex. 2.14 and 2.15 (ES of normal and t), sec. 8.5 (Euler).
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy

from apps.risk.kernels.historical import FloatArray
from apps.risk.kernels.tail import without_each

# Beyond this many degrees of freedom the t distribution's 99.9 % quantile is within 0.3 % of the normal one's.
LARGEST_DF = 1000.0
SMALLEST_DF = 1.05  # at 1 and below there is no mean, and no expected shortfall


@dataclass(frozen=True, slots=True)
class Elliptical:
    """A standard variable's tail: its (1 - c) quantile is -`quantile`, its mean below that is -`tail_mean`."""

    quantile: float
    tail_mean: float


@dataclass(frozen=True, slots=True)
class StudentT:
    """Location, scale and degrees of freedom; the standard deviation is scale sqrt(df / (df - 2)) for df > 2."""

    location: float
    scale: float
    df: float


def normal_tail(confidence: float) -> Elliptical:
    """Of N(0, 1): ES is phi(z) / (1 - c). Raises ValueError for a confidence outside (0.5, 1)."""
    _check_confidence(confidence)
    z = float(scipy.special.ndtri(1 - confidence))
    return Elliptical(0.0 - z, _phi(z) / (1 - confidence))


def student_t_tail(confidence: float, df: float) -> Elliptical:
    """Of the standard t with `df` degrees: ES is f(q) / (1 - c) x (df + q^2) / (df - 1), for df > 1.

    Raises ValueError for a confidence outside (0.5, 1) or df <= 1.
    """
    _check_confidence(confidence)
    if not df > 1:
        raise ValueError(f"df is {df}; expected more than 1: below that the tail has no mean")
    q = float(scipy.special.stdtrit(df, 1 - confidence))
    log_density = (
        scipy.special.gammaln((df + 1) / 2)
        - scipy.special.gammaln(df / 2)
        - 0.5 * math.log(df * math.pi)
        - (df + 1) / 2 * math.log1p(q * q / df)
    )
    return Elliptical(0.0 - q, math.exp(log_density) / (1 - confidence) * (df + q * q) / (df - 1))


def fit_student_t(sample: FloatArray) -> StudentT:
    """Maximum likelihood of location, scale and degrees of freedom for `sample` (n,).

    Degrees of freedom stay between 1.05 and 1,000; thin tails end at 1,000, which is the normal distribution in all
    but name. The scale stays above a thousandth of the standard deviation: where most numbers are the same, the
    likelihood has no maximum. A flat sample has scale 0.
    Raises ValueError for fewer than 3 numbers, NaN or infinity.
    """
    if len(sample) < 3 or not np.isfinite(sample).all():
        raise ValueError(f"{len(sample)} numbers; expected at least 3, all finite")
    centre, unit = float(np.median(sample)), float(np.std(sample))
    if unit <= 1e-14 * abs(centre):
        return StudentT(float(np.mean(sample)), 0.0, LARGEST_DF)
    found = scipy.optimize.minimize(
        _negative_log_likelihood,
        x0=[0.0, math.log(0.75), math.log(5.0)],
        args=((sample - centre) / unit,),
        method="L-BFGS-B",
        jac=True,
        bounds=[(None, None), (math.log(1e-3), None), (math.log(SMALLEST_DF), math.log(LARGEST_DF))],
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 500},
    )
    location, log_scale, log_df = found.x.tolist()
    return StudentT(centre + unit * location, unit * math.exp(log_scale), math.exp(log_df))


def _negative_log_likelihood(theta: FloatArray, x: FloatArray) -> tuple[float, FloatArray]:
    """Of the t distribution, a number a sample; `theta` is location, log scale, log df; with its gradient."""
    location, log_scale, log_df = theta.tolist()
    scale, df = math.exp(log_scale), math.exp(log_df)
    u = (x - location) / scale
    squared = u * u
    log_terms = float(np.mean(np.log1p(squared / df)))
    weight = (df + 1) / (df + squared)
    pull = float(np.mean(weight * squared))
    value = (
        scipy.special.gammaln((df + 1) / 2)
        - scipy.special.gammaln(df / 2)
        - 0.5 * math.log(df * math.pi)
        - log_scale
        - (df + 1) / 2 * log_terms
    )
    by_df = 0.5 * (scipy.special.digamma((df + 1) / 2) - scipy.special.digamma(df / 2) - 1 / df - log_terms + pull / df)
    gradient = np.array([float(np.mean(weight * u)) / scale, pull - 1, df * by_df])
    return -float(value), -gradient


@dataclass(frozen=True, slots=True)
class Moments:
    """First and second moments of one book's P&L and of its positions, with n - 1; currency, arrays (symbols,).

    `means` and `betas` are those of one unit of currency in each symbol: mean return, and cov(return, P&L) / var(P&L),
    0 for a book that does not move. `deviations_without` are the standard deviations of the book without each position.
    """

    mean: float
    deviation: float
    means: FloatArray
    betas: FloatArray
    deviations_without: FloatArray


def moments(returns: FloatArray, values: FloatArray, pnl: FloatArray) -> Moments:
    """Raises ValueError for fewer than 2 days."""
    if len(pnl) < 2:
        raise ValueError(f"{len(pnl)} days; expected at least 2 for a standard deviation")
    means = _column_means(returns)
    centred = returns - means
    moves = pnl - np.mean(pnl)
    variance = float(np.add.reduce(moves * moves)) / (len(pnl) - 1)
    covariances = np.add.reduce(centred * moves[:, np.newaxis], axis=0) / (len(pnl) - 1)
    flat = variance <= (1e-14 * float(np.abs(values).sum())) ** 2
    return Moments(
        mean=float(np.mean(pnl)),
        deviation=0.0 if flat else math.sqrt(variance),
        means=means,
        betas=np.zeros_like(values) if flat else covariances / variance,
        deviations_without=without_each(returns, values, pnl, _deviations),
    )


def elliptical_split(
    book: Moments, values: FloatArray, location: float, scale: float, quantile: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Components, marginals and incrementals, (symbols,) each, of -location + scale x quantile.

    `location` and `scale` are the book's; for the normal distribution its mean and standard deviation. What they
    differ by from those is shared out by beta, and a book without a position keeps the ratio of scale to deviation.
    """
    shift = location - book.mean
    marginal = book.betas * (scale * quantile - shift) - book.means
    component = marginal * values
    ratio = scale / book.deviation if book.deviation else 1.0
    scale_without = ratio * book.deviations_without
    location_without = location - (book.means + book.betas * shift) * values
    incremental = (scale * quantile - location) - (scale_without * quantile - location_without)
    return component, marginal, incremental


def _deviations(books: FloatArray) -> FloatArray:
    moves = books - _column_means(books)
    return np.asarray(np.sqrt(np.add.reduce(moves * moves, axis=0) / (len(books) - 1)))


def _column_means(matrix: FloatArray) -> FloatArray:
    return np.asarray(np.add.reduce(matrix, axis=0) / len(matrix))


def _phi(z: float) -> float:
    return math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _check_confidence(confidence: float) -> None:
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; expected more than 0.5 and less than 1, as in 0.99")

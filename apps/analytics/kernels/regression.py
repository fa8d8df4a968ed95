"""Least squares of one series on any set of factor series, with its statistics.

Shapes: `returns` (days,), `factors` (days, factors), daily and in excess of the risk-free rate where that is meant.
The intercept is the first coefficient. Solved by orthogonalizing the columns (modified Gram-Schmidt, each twice, so
that they are orthogonal to rounding: Giraud, Langou & Rozloznik 2005, The loss of orthogonality in the Gram-Schmidt
process, Comput. Math. Appl. 50) and not by the normal equations, which would square the condition number.
Sources: Greene (2012), Econometric Analysis, 7th ed., ch. 3 to 5; Newey & West (1987), A simple, positive
semi-definite, heteroskedasticity and autocorrelation consistent covariance matrix, Econometrica 55; lag of Newey & West
(1994), Automatic lag selection in covariance matrix estimation, Rev. Econ. Studies 61.

Bits: no sum is BLAS's, so no thread count moves a bit.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

FloatArray = npt.NDArray[np.float64]

# A column of which less than this part is not in the columns before it is a combination of them.
_COLLINEAR = 1e-10
# What is left of a series that the factors explain whole, relative to it.
_EXACT_FIT = 1e-12


@dataclass(frozen=True, slots=True)
class Coefficient:
    """An estimate; its standard error, t statistic and two-sided p value by least squares and by Newey-West."""

    value: float
    standard_error: float
    t: float
    p: float
    newey_west_error: float
    newey_west_t: float | None
    newey_west_p: float | None


@dataclass(frozen=True, slots=True)
class Regression:
    """`coefficients` intercept first; `residual_deviation` daily, with n - k - 1; `lags` those of Newey-West."""

    coefficients: list[Coefficient]
    r_squared: float
    adjusted_r_squared: float
    residual_deviation: float
    observations: int
    lags: int


@dataclass(frozen=True, slots=True)
class NoRegression:
    """Why there is none. `collinear` are columns of `factors`, the last one a combination of the others."""

    reason: str
    collinear: tuple[int, ...] = ()


def regress(returns: FloatArray, factors: FloatArray) -> Regression | NoRegression:
    """returns = a + factors b + e by least squares.

    NoRegression for too few days, factors of which one is a combination of others (a constant one is of the
    intercept), returns that do not vary, and an exact fit, whose t statistics would be infinite.
    Raises ValueError for shapes that do not fit, NaN or infinity.
    """
    if returns.ndim != 1 or factors.ndim != 2 or len(returns) != len(factors):
        raise ValueError(f"returns {returns.shape} and factors {factors.shape}; expected (days,) and (days, factors)")
    if not (np.isfinite(returns).all() and np.isfinite(factors).all()):
        raise ValueError("returns or factors hold NaN or infinity; expected finite numbers only")
    needed = factors.shape[1] + 2
    if len(returns) < needed:
        return NoRegression(f"{len(returns)} days: {factors.shape[1]} factors and an intercept need {needed}")
    design = np.column_stack([np.ones(len(returns)), factors])
    q, r, collinear = _orthogonalized(design)
    if collinear:
        return NoRegression("collinear factors", tuple(column - 1 for column in collinear if column))
    return _with_statistics(returns, q, r)


def _orthogonalized(design: FloatArray) -> tuple[FloatArray, FloatArray, tuple[int, ...]]:
    """Q (days, k) with orthonormal columns and upper R (k, k) of design = Q R, or the first collinear columns."""
    size = design.shape[1]
    q, r = np.empty_like(design), np.zeros((size, size))
    for column in range(size):
        rest = _rest(design[:, column], q, r, column)
        r[column, column] = _norm(rest)
        if r[column, column] <= _COLLINEAR * _norm(design[:, column]):
            return q, r, _combined(r, column)
        q[:, column] = rest / r[column, column]
    return q, r, ()


def _rest(column: FloatArray, q: FloatArray, r: FloatArray, place: int) -> FloatArray:
    """What of the column is not in those before it; how much of each is in it goes to r."""
    rest = column.copy()
    for _ in range(2):
        for before in range(place):
            part = float(np.add.reduce(q[:, before] * rest))
            r[before, place] += part
            rest -= part * q[:, before]
    return rest


def _combined(r: FloatArray, column: int) -> tuple[int, ...]:
    """The columns that the given one is a combination of, and itself last."""
    weights = _inverse(r[:column, :column])
    shares = np.add.reduce(weights * r[:column, column], axis=1)
    sizes = np.abs(shares) * np.sqrt(np.add.reduce(r[:column, :column] ** 2, axis=0))
    return (*(int(place) for place in np.flatnonzero(sizes > 1e-6 * sizes.max(initial=0.0))), column)


def _with_statistics(returns: FloatArray, q: FloatArray, r: FloatArray) -> Regression | NoRegression:
    around_mean = returns - returns.mean()
    total = float(np.add.reduce(around_mean * around_mean))
    if np.ptp(returns) <= 8 * float(np.finfo(np.float64).eps):
        return NoRegression("zero volatility: the returns do not vary")
    projected = np.array([np.add.reduce(q[:, column] * returns) for column in range(q.shape[1])])
    residuals = returns - np.add.reduce(q * projected, axis=1)
    left = float(np.add.reduce(residuals * residuals))
    if math.sqrt(left) <= _EXACT_FIT * _norm(returns):
        return NoRegression("an exact fit: the factors leave no residual to measure errors by")
    inverse = _inverse(r)
    freedom = len(returns) - q.shape[1]
    lags = math.floor(4 * (len(returns) / 100) ** (2 / 9))
    values = np.add.reduce(inverse * projected, axis=1)
    errors = np.sqrt(np.add.reduce(inverse * inverse, axis=1) * left / freedom)
    robust = _newey_west_errors(q, residuals, inverse, min(lags, len(returns) - 1))
    return Regression(
        [_coefficient(*each, freedom) for each in zip(values, errors, robust, strict=True)],
        1.0 - left / total,
        1.0 - left / freedom / (total / (len(returns) - 1)),
        math.sqrt(left / freedom),
        len(returns),
        min(lags, len(returns) - 1),
    )


def _newey_west_errors(q: FloatArray, residuals: FloatArray, inverse: FloatArray, lags: int) -> FloatArray:
    """Roots of the diagonal of R^-1 S R^-T with S = sum of (1 - l / (L + 1)) (G_l + G_l') over the lags, Bartlett's
    weights, G_l the autocovariance of the scores q e (no correction for small samples)."""
    scores = q * residuals[:, None]
    meat = np.einsum("ti,tj->ij", scores, scores)
    for lag in range(1, lags + 1):
        covariance = np.einsum("ti,tj->ij", scores[lag:], scores[:-lag])
        meat += (1.0 - lag / (lags + 1)) * (covariance + covariance.T)
    return np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", inverse, meat, inverse), 0.0))


def _coefficient(value: float, error: float, robust: float, freedom: int) -> Coefficient:
    t = float(value / error)
    robust_t = float(value / robust) if robust > 0 else None
    robust_p = None if robust_t is None else _p_value(robust_t, freedom)
    return Coefficient(float(value), float(error), t, _p_value(t, freedom), float(robust), robust_t, robust_p)


def _p_value(t: float, freedom: int) -> float:
    return float(2.0 * scipy.special.stdtr(freedom, -abs(t)))


def _inverse(r: FloatArray) -> FloatArray:
    """Of an upper triangular matrix, by back substitution."""
    size = len(r)
    inverse = np.zeros((size, size))
    for row in range(size - 1, -1, -1):
        unit = np.zeros(size)
        unit[row] = 1.0
        inverse[row] = (unit - np.add.reduce(r[row, :, None] * inverse, axis=0)) / r[row, row]
    return inverse


def _norm(column: FloatArray) -> float:
    return math.sqrt(float(np.add.reduce(column * column)))

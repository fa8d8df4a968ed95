"""What a book loses in a given move of its prices, and the most likely move that loses a given amount.

Shapes: `returns` (days, symbols), fractions; `values` (symbols,), today's value of each position in the book's
currency, negative when short; `pnl` (days,), the book's P&L through the window; `benchmark` (days,), its returns on the
same days.

Sources: Kupiec (1998), Stress testing in a value at risk framework, J. Derivatives 6(1) (a shock of some factors, the
others at what they are expected to be given it); Breuer, Jandacka, Rheinberger & Summer (2009), How to find plausible,
severe, and useful stress scenarios, Int. J. Central Banking 5(3), sec. 3 (plausibility as Mahalanobis distance).

Bits: sums run over one column at a time, contiguous and pairwise, so that no figure depends on a BLAS, on the number of
threads, or on the other positions and their order.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy

from apps.risk.kernels.historical import FloatArray
from apps.risk.kernels.tail import exact_split

# Below this part of what the positions would move if nothing offset anything, a book's deviation is rounding alone.
_NO_RISK = 1e-10


@dataclass(frozen=True, slots=True)
class PathLoss:
    """P&L at the end and at the worst close of a path; the parts (symbols,) add up to them exactly in any order.

    `worst_row` is the row of `closes`, at least 1; of equal ones the earliest.
    """

    pnl: float
    parts: FloatArray
    returns: FloatArray
    worst_pnl: float
    worst_row: int


@dataclass(frozen=True, slots=True)
class ReverseStress:
    """The most likely one-day move that loses the amount. `move` and `parts` (symbols,): fractions, and P&L.

    `distance` is in standard deviations of the book's P&L, `probability` that of a loss at least as large in a day.
    """

    move: FloatArray
    pnl: float
    parts: FloatArray
    deviation: float
    distance: float
    probability: float


def split_pnl(returns: FloatArray, values: FloatArray) -> tuple[float, FloatArray]:
    """P&L of one move, `returns` (symbols,): values x returns by position, and their sum, exact in any order."""
    (pnl,), parts = exact_split((values * returns)[np.newaxis])
    return pnl, parts[0]


def path_loss(closes: FloatArray, values: FloatArray) -> PathLoss:
    """Today's `values` (symbols,) through the path of `closes` (days, symbols), the first row being the start.

    Cumulative P&L at row t: the sum of values x (closes[t] / closes[0] - 1); positions are not traded on the way.
    Raises ValueError for fewer than two rows, or a close that is not a positive number.
    """
    if len(closes) < 2:
        raise ValueError(f"{len(closes)} rows of closes; expected at least a start and an end")
    if not (np.isfinite(closes) & (closes > 0)).all():
        raise ValueError("closes hold a value that is no positive number")
    returns = closes[1:] / closes[0] - 1.0
    pnl, parts = exact_split(returns * values)
    worst = int(np.argmin(pnl))
    return PathLoss(pnl[-1], parts[-1], returns[-1], pnl[worst], worst + 1)


def ols_betas(returns: FloatArray, benchmark: FloatArray) -> FloatArray | None:
    """Slope of each symbol's returns on the benchmark's by least squares with an intercept, (symbols,).

    beta_i = sum((r_i - mean r_i)(b - mean b)) / sum((b - mean b)^2). None where the benchmark does not move.
    Raises ValueError for shapes that do not fit, fewer than two days, NaN or infinity.
    """
    _check_window(returns, benchmark)
    moved = benchmark - benchmark.mean()
    square = float((moved * moved).sum())
    if square <= len(benchmark) * _NO_RISK**2 * float((benchmark * benchmark).max()):
        return None
    return _column_sums(returns, moved) / square


def reverse_stress(returns: FloatArray, values: FloatArray, pnl: FloatArray, loss: float) -> ReverseStress | None:
    """The move r with values . r = -loss of the smallest Mahalanobis distance sqrt(r' S^-1 r), S the covariance.

    r = -loss S v / (v' S v), at the distance loss / sqrt(v' S v); the mean is taken as zero, and S is that of the
    window with n - 1. As v' S v is the variance of `pnl` and S v the covariance of each symbol with it, S itself is
    never made. Where S is singular (more symbols than days) r is the best of the moves that S holds possible. The
    probability is that of the normal distribution, Phi(-distance). None where the book's P&L does not move in the
    window: no move of S loses anything.
    Raises ValueError for shapes that do not fit, fewer than two days, a loss that is not a positive number.
    """
    _check_window(returns, pnl)
    if not 0 < loss < math.inf:
        raise ValueError(f"loss is {loss}; expected a positive number")
    moved = pnl - pnl.mean()
    square = float((moved * moved).sum())
    if math.sqrt(square) <= _NO_RISK * _gross_movement(returns, values):
        return None
    move = _column_sums(returns, moved / square) * -loss
    total, parts = split_pnl(move, values)
    deviation = math.sqrt(square / (len(pnl) - 1))
    distance = loss / deviation
    return ReverseStress(move, total, parts, deviation, distance, float(scipy.special.ndtr(-distance)))


def expected_move(series: FloatArray, pnl: FloatArray, loss: float) -> float:
    """What `series` (days,) is expected to do where the book loses the amount: -loss cov(series, pnl) / var(pnl).

    The same regression as reverse_stress, for something that is not held. Raises ValueError as ols_betas does.
    """
    _check_window(series[:, np.newaxis], pnl)
    moved = pnl - pnl.mean()
    return -loss * float(_column_sums(series[:, np.newaxis], moved / float((moved * moved).sum()))[0])


def _column_sums(returns: FloatArray, weights: FloatArray) -> FloatArray:
    """The sum over days of (r - mean r) x weights, column by column, (symbols,)."""
    columns = np.ascontiguousarray(returns.T)
    sums: FloatArray = ((columns - columns.mean(axis=1, keepdims=True)) * weights).sum(axis=1)
    return sums


def _gross_movement(returns: FloatArray, values: FloatArray) -> float:
    """Root of the sum of squares of all positions' P&L, as if nothing offset anything."""
    parts = returns * values
    return math.sqrt(float((parts * parts).sum()))


def _check_window(returns: FloatArray, series: FloatArray) -> None:
    if returns.ndim != 2 or series.shape != returns.shape[:1] or len(series) < 2:
        raise ValueError(f"returns {returns.shape} and a series {series.shape}; expected the same two days or more")
    if not (np.isfinite(returns).all() and np.isfinite(series).all()):
        raise ValueError("returns or series hold NaN or infinity; expected finite numbers only")

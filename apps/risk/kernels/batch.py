"""VaR and expected shortfall of many books at once: one matrix product a chunk, one partition, several confidences.

Shapes: `returns` (days, symbols), fractions; `values` (books, symbols), currency of each book, negative when short, 0
where nothing is held; figures (levels, books), positive for a loss. Definitions as in historical.py.

Bits: a product of matrices has whatever last bits BLAS gives it, which change with the processor, the thread count and
the books beside. So every figure is rounded to a grid of 2**-37 of the book's gross value (0.7 to 1.5e-11 of it), by
Ziv's test: where the product's error bound leaves no doubt which grid point is the nearest, that is it; for the few
others, well below one in a hundred, the sums are made exact. So a book has the same bits alone, beside any others, with
its columns in any order, and on any machine.

Sources: Higham (2002), Accuracy and Stability of Numerical Algorithms, 2nd ed., sec. 3.1 (error of a product, in any
order of summation); Ziv (1991), Fast evaluation of elementary mathematical functions with correctly rounded last bit,
ACM TOMS 17(3) (the test).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apps.risk.kernels.historical import FloatArray, tail_count, tail_mass

GRID_BITS = 37
# 512 books of 500 days are 2 MB of P&L, which stay in the cache from the product to the partition.
CELLS_AT_A_TIME = 1 << 18

_UNIT_ROUNDOFF = 2.0**-53
_NEAR_A_POWER = 2.0**-30
# Additions behind an expected shortfall, and the error bound's own rounding.
_SLACK = 128


@dataclass(frozen=True, slots=True)
class _Level:
    """Where a confidence's figures stand in a book's sorted tail."""

    count: int
    mass: float

    def figures(self, tail: FloatArray, sums: FloatArray) -> tuple[FloatArray, FloatArray]:
        """VaR and ES from sorted P&L (books, k) and its running sums: (books,) each, as P&L."""
        edge = tail[:, self.count - 1]
        if self.mass <= 1:
            return edge, tail[:, 0]
        whole = sums[:, self.count - 2] if self.count > 1 else np.zeros_like(edge)
        return edge, (whole + (self.mass - (self.count - 1)) * edge) / self.mass


def batch_tail(returns: FloatArray, values: FloatArray, confidences: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """VaR and ES of every book at every confidence, (levels, books) each.

    Takes some copies of CELLS_AT_A_TIME numbers beside its input, however many books there are.
    Raises ValueError for shapes that do not fit, empty arrays, NaN or infinity, values whose squares are beyond a
    float, or a confidence outside (0.5, 1).
    """
    _check(returns, values, confidences)
    days = len(returns)
    levels = [_Level(tail_count(one, days), tail_mass(one, days)) for one in confidences]
    var, shortfall = np.empty((2, len(levels), len(values)))
    largest_day = float(_norms("returns", returns).max())
    step = max(1, CELLS_AT_A_TIME // days)
    for start in range(0, len(values), step):
        some = slice(start, start + step)
        var[:, some], shortfall[:, some] = _chunk(returns, values[some], levels, largest_day)
    return var, shortfall


def _chunk(
    returns: FloatArray, values: FloatArray, levels: list[_Level], largest_day: float
) -> tuple[FloatArray, FloatArray]:
    norms = _norms("values", values)
    pnl = values @ returns.T
    deepest = max(level.count for level in levels)
    pnl.partition(deepest - 1, axis=1)
    tail = np.sort(pnl[:, :deepest], axis=1)
    sums = np.add.accumulate(tail, axis=1)
    bound = (values.shape[1] + _SLACK) * _UNIT_ROUNDOFF * largest_day * norms
    grid = _grid(values)
    found = np.array([level.figures(tail, sums) for level in levels]) / grid
    rounded = np.rint(found)
    # Twice the bound: once for the product, once so that another product, which is in doubt, comes to the same point.
    doubtful = np.abs(found - rounded) > 0.5 - 2 * bound / grid
    for book in np.flatnonzero(doubtful.any(axis=(0, 1))):
        rounded[:, :, book] = np.rint(_exact_figures(returns, values[book], levels, bound[book]) / grid[book])
    losses = 0.0 - rounded * grid
    return losses[:, 0], losses[:, 1]


def _grid(values: FloatArray) -> FloatArray:
    """The power of two to whose multiples a book's figures are rounded, (books,); 1 for a book of nothing."""
    gross = np.add.reduce(np.abs(values), axis=1)
    fraction, exponent = np.frexp(gross)
    # The last bits of the sum must not decide between two powers of two.
    for book in np.flatnonzero(np.minimum(fraction - 0.5, 1.0 - fraction) < _NEAR_A_POWER):
        exponent[book] = math.frexp(math.fsum(np.abs(values[book]).tolist()))[1]
    return np.where(gross > 0, np.ldexp(1.0, exponent - GRID_BITS), 1.0)


def _exact_figures(returns: FloatArray, values: FloatArray, levels: list[_Level], bound: float) -> FloatArray:
    """P&L (levels, 2) of one book from sums that are correctly rounded, for the scenarios that can be in the tail."""
    pnl = returns @ values
    deepest = max(level.count for level in levels)
    near = np.flatnonzero(pnl <= np.partition(pnl, deepest - 1)[deepest - 1] + 2 * bound)
    held = np.flatnonzero(values)
    tail = np.sort(_accurate_sums(returns[near].take(held, axis=1) * values[held]))[np.newaxis, :deepest]
    sums = np.add.accumulate(tail, axis=1)
    return np.array([level.figures(tail, sums) for level in levels])[:, :, 0]


def _accurate_sums(parts: FloatArray) -> FloatArray:
    """The sum of each row, as if in twice the digits: what a grid of 2**-52 of the row leaves over is summed apart."""
    shifts = np.ldexp(3.0, np.frexp(np.sqrt(parts.shape[1] * np.einsum("ij,ij->i", parts, parts)))[1])[:, np.newaxis]
    on_grid = (parts + shifts) - shifts
    sums: FloatArray = np.add.reduce(on_grid, axis=1) + np.add.reduce(parts - on_grid, axis=1)
    return sums


def _check(returns: FloatArray, values: FloatArray, confidences: Sequence[float]) -> None:
    if returns.ndim != 2 or values.ndim != 2 or returns.shape[1] != values.shape[1]:
        raise ValueError(
            f"returns {returns.shape} do not fit values {values.shape}; expected (days, symbols) and (books, symbols)"
        )
    if not returns.size or not values.size or not len(confidences):
        raise ValueError(
            f"returns {returns.shape}, values {values.shape}, {len(confidences)} confidences: one is empty"
        )


def _norms(name: str, rows: FloatArray) -> FloatArray:
    """The Euclidean norm of each row, (rows,). Raises ValueError for NaN or infinity: no norm hides them."""
    norms: FloatArray = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    if not np.isfinite(norms).all():
        raise _not_finite(name, rows)
    return norms


def _not_finite(name: str, array: FloatArray) -> ValueError:
    wrong = np.argwhere(~np.isfinite(array))
    if not len(wrong):
        return ValueError(f"{name} are beyond what a float can square; expected smaller numbers")
    place = tuple(int(index) for index in wrong[0])
    return ValueError(f"{name}{list(place)} is {array[place]}; expected finite numbers only")

"""VaR and expected shortfall of one book of equally likely scenarios, with their split by position, in one pass.

The P&L of all scenarios is one product, at whatever last bits BLAS gives it. It only says which scenarios make the
tail; where two of them lie too close for that, their sums are made exact before they are ordered. The figures are then
sums over the positions that need no rounding, so they depend on no BLAS, no thread count and no order of positions.

Sources: Jorion (2007), Value at Risk, 3rd ed., ch. 7.2 (component and marginal VaR); Tasche (2002), Expected shortfall
and beyond, J. Banking & Finance 26, sec. 6 (the split of ES: the mean loss of each position over the book's tail).
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from apps.risk.kernels.historical import (
    FloatArray,
    expected_shortfall,
    tail_count,
    tail_mass,
    value_at_risk,
)

# Relative to the sum of absolute values and times the number of positions: far above what a dot product can be wrong
# by, as long as no return is beyond +1,600 % in a day.
_DOUBT = 16 * 2.0**-53
# The product's last bits must not decide between two powers of two: nearer than this it is made exact.
_NEAR_A_POWER = 2.0**-30
_CELLS_AT_A_TIME = 1 << 19


class TailSplit(NamedTuple):
    """Arrays are (symbols,), in the order of `values`; positive for a loss.

    `var` is the sum of `component_var` and `expected_shortfall` that of `component_es`, exactly and in any order.
    `scenario` is the row of the scenario whose loss the VaR is. Marginal figures are the change per unit of currency
    more in the position, a fraction: exact as long as the same scenarios stay the tail.
    """

    var: float
    expected_shortfall: float
    scenario: int
    component_var: FloatArray
    component_es: FloatArray
    marginal_var: FloatArray
    marginal_es: FloatArray


def tail_split(returns: FloatArray, values: FloatArray, confidence: float, pnl: FloatArray | None = None) -> TailSplit:
    """VaR, ES and their split by position for one book.

    `returns` (scenarios, symbols), fractions; `values` (symbols,), currency; `pnl` (scenarios,) is `returns @ values`
    where the caller has it already. Of scenarios of equal P&L the later counts as less bad.
    Definitions as in kernels/historical.py: VaR is the loss of the k-th worst scenario, k = tail_count(confidence, n),
    ES the mean of the worst (1 - c) n, the k-th counted by its remaining fraction.
    Raises ValueError for shapes that do not fit, no scenario, NaN or infinity, or a confidence outside (0.5, 1).
    """
    count, shares = _edge_and_shares(confidence, len(returns))
    if pnl is None:
        pnl = returns.dot(values)
    if not math.isfinite(pnl.dot(pnl)):
        raise _not_finite(returns, values)
    rows = _tail_rows(returns, values, pnl, count)
    # einsum, not matmul: it adds in one order on every machine.
    marginal = np.einsum("ij,jk->ik", shares, returns.take(rows, axis=0))
    (var, shortfall), losses = exact_split(marginal * values)
    return TailSplit(var, shortfall, rows[-1], losses[0], losses[1], marginal[0], marginal[1])


@lru_cache(maxsize=256)
def _edge_and_shares(confidence: float, scenarios: int) -> tuple[int, FloatArray]:
    """k, and what each of the k worst scenarios, the k-th last, adds to VaR and to ES per unit of P&L: (2, k)."""
    count = tail_count(confidence, scenarios)
    mass = max(tail_mass(confidence, scenarios), 1.0)
    shares = np.zeros((2, count))
    shares[0, -1] = -1.0
    shares[1] = -1.0 / mass
    shares[1, -1] *= mass - (count - 1)
    shares.setflags(write=False)
    return count, shares


def incremental_tail(
    returns: FloatArray, values: FloatArray, pnl: FloatArray, confidence: float
) -> tuple[FloatArray, FloatArray]:
    """VaR and ES of the book minus those of the book without that position, (symbols,) each; negative for a hedge.

    `pnl` (scenarios,) is `returns @ values`. Raises ValueError as value_at_risk does.
    """

    def var_es(books: FloatArray) -> tuple[FloatArray, FloatArray]:
        return np.asarray(value_at_risk(books, confidence)), np.asarray(expected_shortfall(books, confidence))

    return incremental(returns, values, pnl, var_es)


def incremental(
    returns: FloatArray,
    values: FloatArray,
    pnl: FloatArray,
    var_es: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
) -> tuple[FloatArray, FloatArray]:
    """Two figures of the book minus those of the book without each position, (symbols,) each.

    `var_es` takes the P&L of books, (scenarios, books), and gives their figures, (books,) each. Memory: some copies of
    4 MiB, however many symbols there are.
    """
    with_all = np.stack(var_es(pnl[:, np.newaxis]))
    var, shortfall = with_all - without_each(returns, values, pnl, lambda books: np.stack(var_es(books)))
    return var, shortfall


def without_each(
    returns: FloatArray, values: FloatArray, pnl: FloatArray, figures: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    """`figures` of the book without each position: it takes P&L (scenarios, books) and gives (..., books)."""
    step = max(1, _CELLS_AT_A_TIME // len(pnl))
    parts = [
        figures(pnl[:, np.newaxis] - returns[:, start : start + step] * values[start : start + step])
        for start in range(0, len(values), step)
    ]
    return np.concatenate(parts, axis=-1)


def exact_split(parts: FloatArray) -> tuple[list[float], FloatArray]:
    """The sum of each row of `parts` (rows, n), and the parts rounded so that they add up to it exactly in any order.

    They are put on a grid of some 2**-52 of the rows' sums of absolute values, on which a sum needs no rounding
    (Rump, Ogita & Oishi 2008, Accurate floating-point summation I, SIAM J. Sci. Comput. 31, lemma 3.2).
    """
    flat = parts.ravel()
    # 3 x 2**e with 2**e above any row's sum of absolute values, by Cauchy and Schwarz: whatever is added, the exponent
    # stays.
    fraction, exponent = math.frexp(parts.shape[1] * float(flat.dot(flat)))
    if not 0.5 + _NEAR_A_POWER < fraction < 1 - _NEAR_A_POWER:
        exponent = math.frexp(parts.shape[1] * math.fsum((flat * flat).tolist()))[1]
    shift = math.ldexp(3.0, (exponent + 1) // 2)
    on_grid = parts + shift
    on_grid -= shift
    # BLAS may add here: on the grid no order of adding rounds.
    return on_grid.dot(_ones(parts.shape[1])).tolist(), on_grid


@lru_cache(maxsize=64)
def _ones(count: int) -> FloatArray:
    return np.ones(count)


def _tail_rows(returns: FloatArray, values: FloatArray, pnl: FloatArray, count: int) -> list[int]:
    """The rows of the `count` worst scenarios: those that are worse than the last of them ascending, then that one."""
    order = pnl.argpartition(min(count, len(pnl) - 1))
    tail = pnl[order[: count + 1]].tolist()
    beyond = tail.pop() if len(tail) > count else math.inf
    edge = max(tail)
    place = tail.index(edge)
    tail[place] = -math.inf
    doubt = 2 * _DOUBT * len(values) * math.sqrt(len(values) * float(values.dot(values)))
    if beyond - edge <= doubt or edge - max(tail) <= doubt:
        return _tail_rows_by_exact_sums(returns, values, pnl, count, edge, doubt)
    rows: list[int] = order[:count].tolist()
    last = rows.pop(place)
    rows.sort()
    rows.append(last)
    return rows


def _tail_rows_by_exact_sums(
    returns: FloatArray, values: FloatArray, pnl: FloatArray, count: int, edge: float, doubt: float
) -> list[int]:
    """The same, where the product cannot tell some from the one at `edge`; of equal ones the later is better."""
    worse = np.flatnonzero(pnl < edge - doubt)
    rows = np.flatnonzero((pnl >= edge - doubt) & (pnl <= edge + doubt))
    sums = np.array([math.fsum(row) for row in (returns[rows] * values).tolist()])
    by_loss = rows[np.lexsort((rows, sums))]
    place = count - len(worse) - 1
    return [*sorted([*worse.tolist(), *by_loss[:place].tolist()]), int(by_loss[place])]


def _not_finite(returns: FloatArray, values: FloatArray) -> ValueError:
    for name, array in (("returns", returns), ("values", values)):
        wrong = np.argwhere(~np.isfinite(array))
        if len(wrong):
            place = tuple(int(index) for index in wrong[0])
            return ValueError(f"{name}{list(place)} is {array[place]}; expected finite numbers only")
    return ValueError("the P&L is beyond what a float holds; expected smaller values")

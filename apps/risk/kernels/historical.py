"""Historical simulation: VaR and expected shortfall from scenarios taken as they happened (their split: tail.py).

Shapes: `returns` is (days, symbols), fractions; `values` is (symbols,), today's value of each position in the book's
currency, negative when short; `pnl` is (days,), or (days, portfolios) for many books at once, in that currency.
VaR and ES are positive when they are losses.

Sources: Jorion (2007), Value at Risk, 3rd ed., ch. 10.2 (historical simulation); Rockafellar & Uryasev (2002),
Conditional value-at-risk for general loss distributions, J. Banking & Finance 26, prop. 8 (ES as the mean of the worst
1-c part, the scenario on its edge counted in part).

Bits: the P&L of one book's scenarios is correctly rounded (math.fsum), so it depends on no BLAS, thread count,
memory layout or order of positions.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import overload

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
Vector = np.ndarray[tuple[int], np.dtype[np.float64]]
Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]

# Rows turned into Python floats at a time by fsum: keeps a million simulated paths from becoming one list.
_ROWS_AT_A_TIME = 4096


def tail_count(confidence: float, observations: int) -> int:
    """k = ceil((1 - c) n), at least 1: the VaR is the k-th worst of n scenarios.

    `confidence` is read as its shortest decimal text, so 0.95 is 95/100 and (1 - 0.95) 500 is 25, not the 26 that
    binary floats give. Raises ValueError unless 0.5 < confidence < 1 and observations >= 1.
    """
    return max(1, math.ceil(_exact_tail_mass(confidence, observations)))


def tail_mass(confidence: float, observations: int) -> float:
    """(1 - c) n, the number of scenarios in the tail with its fraction, exact before the one rounding to float.

    Raises ValueError as tail_count does.
    """
    return float(_exact_tail_mass(confidence, observations))


@overload
def value_at_risk(pnl: Vector, confidence: float) -> float: ...
@overload
def value_at_risk(pnl: Matrix, confidence: float) -> FloatArray: ...
def value_at_risk(pnl: FloatArray, confidence: float) -> float | FloatArray:
    """Minus the k-th smallest P&L, k = tail_count(confidence, days), with no interpolation.

    `pnl`: (days,) gives a float, (days, portfolios) gives (portfolios,); found by partition, O(days) a book.
    Agrees with riskfolio-lib's VaR_Hist(x, alpha) wherever its binary alpha * n is not rounded across a whole number.
    Raises ValueError for an empty array, NaN or infinity, or a confidence outside (0.5, 1).
    """
    _check_pnl(pnl)
    edge = tail_count(confidence, len(pnl)) - 1
    return _as_loss(np.partition(pnl, edge, axis=0)[edge])


@overload
def expected_shortfall(pnl: Vector, confidence: float) -> float: ...
@overload
def expected_shortfall(pnl: Matrix, confidence: float) -> FloatArray: ...
def expected_shortfall(pnl: FloatArray, confidence: float) -> float | FloatArray:
    """Minus the average of the worst (1 - c) part of the distribution (Rockafellar & Uryasev 2002, prop. 8).

    With m = (1 - c) n and k = ceil(m), and P&L sorted upwards: -(x_1 + ... + x_(k-1) + (m - k + 1) x_k) / m.
    Where m < 1 it is the worst scenario. `pnl`: (days,) gives a float, (days, portfolios) gives (portfolios,).
    Raises ValueError as value_at_risk does.
    """
    _check_pnl(pnl)
    mass = _exact_tail_mass(confidence, len(pnl))
    count = tail_count(confidence, len(pnl))
    tail = np.sort(np.partition(pnl, count - 1, axis=0)[:count], axis=0)
    if mass <= 1:
        return _as_loss(tail[0])
    tail[-1] *= float(mass - (count - 1))
    # accumulate adds in order; the order of reduce depends on the shape, and a book would differ from its column.
    return _as_loss(np.add.accumulate(tail, axis=0)[-1] / float(mass))


@overload
def scenario_pnl(returns: FloatArray, values: Vector) -> Vector: ...
@overload
def scenario_pnl(returns: FloatArray, values: Matrix) -> Matrix: ...
def scenario_pnl(returns: FloatArray, values: FloatArray) -> FloatArray:
    """P&L of each scenario: the sum over positions of value today x return, (days,) or (days, portfolios).

    `values` (symbols,): each sum is correctly rounded, so pnl[t] == math.fsum(returns[t] * values) bit for bit.
    `values` (symbols, portfolios): one matrix product, some units in the last place away and many times faster;
    for a million simulated paths of one book pass values[:, None].
    Raises ValueError for shapes that do not fit, empty arrays, NaN or infinity.
    """
    _check_book(returns, values)
    if values.ndim == 2:
        product: FloatArray = returns @ values
        return product
    return np.fromiter(_exact_row_sums(returns, values), np.float64, count=len(returns))


def worst_scenarios(pnl: FloatArray, count: int) -> IntArray:
    """Rows of the `count` worst scenarios of one book (days,), worst first; equal P&L by the earlier row first.

    All rows where there are fewer than `count`. Raises ValueError for count < 1, an empty array, NaN or infinity.
    """
    _check_pnl(pnl, dimensions=(1,))
    if count < 1:
        raise ValueError(f"count is {count}; expected at least 1")
    count = min(count, len(pnl))
    candidates = np.flatnonzero(pnl <= np.partition(pnl, count - 1)[count - 1])
    return candidates[np.argsort(pnl[candidates], kind="stable")][:count]


@overload
def scale_horizon(one_day: float, horizon_days: int) -> float: ...
@overload
def scale_horizon(one_day: FloatArray, horizon_days: int) -> FloatArray: ...
def scale_horizon(one_day: float | FloatArray, horizon_days: int) -> float | FloatArray:
    """The one-day figure x sqrt(horizon_days): exact for independent, equally distributed days without drift.

    Raises ValueError for horizon_days < 1.
    """
    _check_horizon(horizon_days)
    return one_day * math.sqrt(horizon_days)


def overlapping_returns(returns: FloatArray, horizon_days: int) -> FloatArray:
    """Compounded returns of every run of `horizon_days` days: (days, ...) gives (days - horizon_days + 1, ...).

    Row t is (1 + r_t) ... (1 + r_(t+h-1)) - 1 and ends on day t + h - 1. Neighbours share h - 1 days.
    Multiplied out, not divided from a running product, so that a return of -100 % does no harm.
    Raises ValueError for horizon_days < 1, fewer days than horizon_days, NaN or infinity.
    """
    _check_horizon(horizon_days)
    _check_finite("returns", returns)
    rows = len(returns) - horizon_days + 1
    if rows < 1:
        raise ValueError(f"{len(returns)} daily returns; a horizon of {horizon_days} days needs at least as many")
    if horizon_days == 1:
        return returns.copy(order="K")
    growth = 1.0 + returns
    compounded = growth[:rows].copy(order="K")
    for day in range(1, horizon_days):
        compounded *= growth[day : day + rows]
    return compounded - 1.0


@lru_cache(maxsize=1024)
def _exact_tail_mass(confidence: float, observations: int) -> Fraction:
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; expected more than 0.5 and less than 1, as in 0.99")
    if observations < 1:
        raise ValueError(f"{observations} observations; expected at least 1")
    # repr is the shortest text that reads back as this float: what the caller wrote, not what binary made of it.
    return (1 - Fraction(repr(float(confidence)))) * int(observations)


def _exact_row_sums(returns: FloatArray, values: FloatArray) -> Iterator[float]:
    for start in range(0, len(returns), _ROWS_AT_A_TIME):
        yield from map(math.fsum, (returns[start : start + _ROWS_AT_A_TIME] * values).tolist())


def _as_loss(pnl: FloatArray | np.float64) -> float | FloatArray:
    return _negated(pnl) if isinstance(pnl, np.ndarray) else 0.0 - float(pnl)


def _negated(array: FloatArray) -> FloatArray:
    # Not -array: that makes -0.0 of a flat book, and a client would read a negative VaR.
    negated: FloatArray = 0.0 - array
    return negated


def _check_book(returns: FloatArray, values: FloatArray, dimensions: tuple[int, ...] = (1, 2)) -> None:
    if returns.ndim != 2 or values.ndim not in dimensions or returns.shape[1] != len(values):
        raise ValueError(
            f"returns {returns.shape} do not fit values {values.shape}; expected (days, symbols) and "
            + " or ".join("(symbols,)" if n == 1 else "(symbols, portfolios)" for n in dimensions)
        )
    _check_finite("returns", returns)
    _check_finite("values", values)


def _check_pnl(pnl: FloatArray, dimensions: tuple[int, ...] = (1, 2)) -> None:
    if pnl.ndim not in dimensions:
        raise ValueError(f"pnl has shape {pnl.shape}; expected " + " or ".join(f"{n} dimension(s)" for n in dimensions))
    _check_finite("pnl", pnl)


def _check_finite(name: str, array: FloatArray) -> None:
    if array.size == 0:
        raise ValueError(f"{name} is empty (shape {array.shape}); expected at least one number")
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(int(index) for index in np.argwhere(~finite)[0])
        raise ValueError(f"{name}{list(first)} is {array[first]}; expected finite numbers only")


def _check_horizon(horizon_days: int) -> None:
    if horizon_days < 1:
        raise ValueError(f"horizon_days is {horizon_days}; expected at least 1")

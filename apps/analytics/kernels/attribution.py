"""Attribution of the active return to sectors: where the book's weights and its choice of positions made a difference.

Shapes: (days, sectors), fractions of the book's or the benchmark's value at the close before; both weights add up to 1
on every day (cash is a sector).
Sources: Brinson & Fachler (1985), Measuring non-US equity portfolio performance, J. Portfolio Management 11(3);
Carino (1999), Combining attribution effects over time, J. Performance Measurement 3(4); Bacon (2008), Practical
Portfolio Performance Measurement and Attribution, 2nd ed., ch. 5.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Of longs and shorts that cancel rounding may leave 1e-17: a return over that would drown all else.
_NO_WEIGHT = 1e-12


@dataclass(frozen=True, slots=True)
class Effects:
    """Parts of the active return, (days, sectors) or, of a period, (sectors,)."""

    allocation: FloatArray
    selection: FloatArray
    interaction: FloatArray

    @property
    def total(self) -> FloatArray:
        """Allocation + selection + interaction."""
        return self.allocation + self.selection + self.interaction


def brinson_fachler(
    weights: FloatArray, contributions: FloatArray, benchmark_weights: FloatArray, benchmark_contributions: FloatArray
) -> Effects:
    """Each day's effects by sector; on every day they add up to the book's return less the benchmark's.

    With w, W the weights, r, b the sector's returns (contribution / weight) and B the benchmark's return:
    allocation = (w - W) (b - B), selection = W (r - b), interaction = (w - W) (r - b).
    A sector that the benchmark does not have is taken to return there what it returned in the book, and one the book
    does not hold what it returned in the benchmark: both are allocation alone. A sector whose long and short positions
    cancel in weight but earned something has that as selection.
    Raises ValueError for shapes that do not fit, NaN or infinity, and weights of a day that do not add up to 1.
    """
    _check(weights, contributions, benchmark_weights, benchmark_contributions)
    in_book, in_benchmark = np.abs(weights) > _NO_WEIGHT, benchmark_weights != 0
    of_book = np.divide(contributions, weights, out=np.zeros(weights.shape), where=in_book)
    of_benchmark = np.divide(benchmark_contributions, benchmark_weights, out=of_book.copy(), where=in_benchmark)
    whole = benchmark_contributions.sum(axis=1, keepdims=True)
    active = weights - benchmark_weights
    better = np.where(in_book & in_benchmark, of_book - of_benchmark, 0.0)
    selection = np.where(in_book, benchmark_weights * better, contributions)
    return Effects(active * (of_benchmark - whole), selection, active * better)


def linked(effects: Effects, factors: FloatArray) -> Effects:
    """The effects of a period, (sectors,): each day's times its linking factor (`carino_factors`), added up."""
    days = factors[:, None]
    return Effects(
        *((part * days).sum(axis=0) for part in (effects.allocation, effects.selection, effects.interaction))
    )


def _check(*arrays: FloatArray) -> None:
    if arrays[0].ndim != 2 or any(array.shape != arrays[0].shape for array in arrays):
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"shapes {shapes}; expected all of them (days, sectors)")
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("weights or contributions hold NaN or infinity; expected finite numbers only")
    for name, weights in (("weights", arrays[0]), ("benchmark_weights", arrays[2])):
        sums = weights.sum(axis=1)
        if np.abs(sums - 1.0).max(initial=0.0) > 1e-6 * max(1.0, float(np.abs(weights).max(initial=0.0))):
            day = int(np.argmax(np.abs(sums - 1.0)))
            raise ValueError(f"{name} of day {day} add up to {sums[day]}; expected 1, cash included")

"""Statistics of every window of a series in O(days), by adding only: nothing is taken off a running sum again.

A series is cut into blocks of one window's length. A window is then the end of one block and the beginning of the next
(van Herk 1992, A fast algorithm for local minimum and maximum filters, Pattern Recognition Letters 13), so each block
is folded once from its left and once from its right, and the two are merged. Means and squared deviations merge as in
Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance, Amer. Statistician 37. They are kept
relative to a return inside the window (the last of the one block, the first of the other), so that a window of tiny
deviations is as exact beside a window of large ones as alone.

Shapes: `series` (days, portfolios); results (days - window + 1, portfolios), row s for days s to s + window - 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Parts = Sequence[FloatArray]
Merge = Callable[[Parts, Parts], Parts]


@dataclass(frozen=True, slots=True)
class Moments:
    """Of each window: means, sums of squared deviations and of their products, and range, (windows, portfolios)."""

    mean: FloatArray
    of_benchmark: FloatArray
    squares: FloatArray
    benchmark_squares: FloatArray
    products: FloatArray
    spread: FloatArray
    benchmark_spread: FloatArray


def window_sums(series: FloatArray, window: int) -> FloatArray:
    """The sum of each window; of numbers of one sign as exact as adding them one by one."""
    cut = _blocks(series, window)
    sums = (np.add.accumulate(cut[::-1], axis=0)[::-1],), (np.add.accumulate(cut, axis=0),)
    return _joined(*sums, lambda left, right: (left[0] + right[0],), len(series))[0]


def window_moments(series: FloatArray, benchmark: FloatArray | None, window: int) -> Moments:
    """First and second moments of two series of equal shape, or of one: then `products` and the benchmark's are its."""
    cut = [_blocks(each, window) for each in (series, *(() if benchmark is None else (benchmark,)))]
    from_right = _reversed(_accumulated(_reversed([each - each[-1] for each in cut])))
    from_left = _accumulated([each - each[0] for each in cut])
    for place, each in enumerate(cut):
        from_right[place] = from_right[place] + _steps(each)
    found = _joined(from_right, from_left, _merger(len(cut), window), len(series))
    means = [mean + _firsts(each, window, len(series)) for mean, each in zip(found, cut, strict=False)]
    spreads = [_spreads(each, window, len(series)) for each in cut]
    products = found[len(cut) :]
    return Moments(
        means[0], means[-1], products[0], products[-1], products[len(products) // 2], spreads[0], spreads[-1]
    )


def window_drawdowns(series: FloatArray, window: int) -> FloatArray:
    """The deepest fall of each window's compounded path, negative, 0 without one; each window's start is a peak.

    Of `series` of at least -1. A path is its growth, its highest and lowest level relative to its start, and its
    deepest fall; of two, one after the other, the deepest is in one of them or from the peak of the first to the low
    of the second.
    """
    growth = 1.0 + _blocks(series, window)
    day = (growth, np.maximum(growth, 1.0), np.minimum(growth, 1.0), np.minimum(growth - 1.0, 0.0))
    from_right = _reversed(_scan(_reversed(day), lambda later, earlier: _merge_paths(earlier, later)))
    return _joined(from_right, _scan(day, _merge_paths), _merge_paths, len(series))[3]


def _merge_paths(first: Parts, then: Parts) -> Parts:
    growth, peak, low, deepest = first
    across = growth * then[2] / peak - 1.0
    return (
        growth * then[0],
        np.maximum(peak, growth * then[1]),
        np.minimum(low, growth * then[2]),
        np.minimum(np.minimum(deepest, then[3]), across),
    )


def _accumulated(cut: Sequence[FloatArray]) -> list[FloatArray]:
    """Of rows 0 to k at row k: each series' mean, then the sums of products of deviations, xx or xx, xy, yy.

    Each day adds (x - mean before) (y - mean after): Welford (1962), Note on a method for calculating corrected sums of
    squares and products, Technometrics 4.
    """
    counts = np.arange(1.0, len(cut[0]) + 1)[:, None, None]
    means = [np.add.accumulate(each, axis=0) / counts for each in cut]
    before = [np.concatenate([each[:1], mean[:-1]]) for each, mean in zip(cut, means, strict=True)]
    pairs = [(x, y) for x in range(len(cut)) for y in range(x, len(cut))]
    products = [np.add.accumulate((cut[x] - before[x]) * (cut[y] - means[y]), axis=0) for x, y in pairs]
    return [*means, *products]


def _merger(series: int, window: int) -> Merge:
    """Merges the moments of the `window - k` days of one block with those of the k days of the next."""

    def merge(left: Parts, right: Parts) -> Parts:
        last = (np.arange(len(left[0])) + window - 1) % window + 1
        share = (last / window)[:, None]
        weight = ((window - last) * (last / window))[:, None]
        steps = [right[place] - left[place] for place in range(series)]
        means = [left[place] + steps[place] * share for place in range(series)]
        pairs = [(x, y) for x in range(series) for y in range(x, series)]
        products = [
            left[series + place] + right[series + place] + steps[x] * steps[y] * weight
            for place, (x, y) in enumerate(pairs)
        ]
        return [*means, *products]

    return merge


def _spreads(cut: FloatArray, window: int, days: int) -> FloatArray:
    """Largest less smallest of each window."""
    highest, lowest = (
        _joined(
            (operation.accumulate(cut[::-1], axis=0)[::-1],),
            (operation.accumulate(cut, axis=0),),
            lambda left, right, operation=operation: (operation(left[0], right[0]),),  # type: ignore[misc]
            days,
        )[0]
        for operation in (np.maximum, np.minimum)
    )
    return highest - lowest


def _reversed(parts: Sequence[FloatArray]) -> list[FloatArray]:
    return [part[::-1] for part in parts]


def _blocks(series: FloatArray, window: int) -> FloatArray:
    """(window, blocks, portfolios): day b window + k at [k, b]. The last block is filled up; no window uses that."""
    missing = -len(series) % window
    filled = np.concatenate([series, np.repeat(series[-1:], missing, axis=0)]) if missing else series
    return np.ascontiguousarray(filled.reshape(-1, window, series.shape[1]).swapaxes(0, 1))


def _steps(cut: FloatArray) -> FloatArray:
    """From each block's last number to the next one's first, (blocks, portfolios)."""
    return np.concatenate([cut[-1, :-1] - cut[0, 1:], np.zeros_like(cut[0, :1])])


def _firsts(cut: FloatArray, window: int, days: int) -> FloatArray:
    """The first number of the block in which each window ends, (windows, portfolios)."""
    return cut[0][np.arange(window - 1, days) // window]


def _joined(from_right: Parts, from_left: Parts, merge: Merge, days: int) -> list[FloatArray]:
    """Each window's fold, from those of the ends of blocks and those of their beginnings."""
    window = len(from_left[0])
    first, last = np.arange(days - window + 1), np.arange(window - 1, days)
    left = [part[first % window, first // window] for part in from_right]
    right = [part[last % window, last // window] for part in from_left]
    merged = list(merge(left, right))
    for part, whole_block in zip(merged, right, strict=True):
        part[::window] = whole_block[::window]
    return merged


def _scan(parts: Parts, merge: Merge) -> list[FloatArray]:
    """The folds of rows 0 to k at row k, each block and portfolio by itself."""
    folded = [np.empty_like(part) for part in parts]
    state: Parts = [part[0] for part in parts]
    for row in range(len(parts[0])):
        state = merge(state, [part[row] for part in parts]) if row else state
        for target, value in zip(folded, state, strict=True):
            target[row] = value
    return folded

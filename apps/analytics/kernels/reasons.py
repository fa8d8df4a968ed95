"""Why a series has no figure: the first thing it lacks, in words."""

import numpy as np
import numpy.typing as npt

from apps.analytics.kernels.facts.known import Facts
from apps.analytics.kernels.facts.rows import FloatArray
from apps.analytics.kernels.measures import FIGURES, NO_BENCHMARK, Figure

Words = npt.NDArray[np.object_]

_OUT_OF_RANGE = "outside the range of a number: the returns are too extreme"


@np.errstate(all="ignore")
def reasons_for(known: Facts, names: tuple[str, ...], metrics: FloatArray) -> list[dict[str, str]]:
    """Of each portfolio, a reason for each of `names` that is NaN in `metrics` (names, portfolios)."""
    found: list[dict[str, str]] = [{} for _ in known.usable]
    missing = np.isnan(metrics)
    of_returns = _gaps(known.series.returns, known.usable, "returns are", "returns is")
    for row in np.flatnonzero(missing.any(axis=1)).tolist():
        words = _words(FIGURES[names[row]], known)
        for portfolio in np.flatnonzero(missing[row]).tolist():
            found[portfolio][names[row]] = of_returns.get(portfolio) or str(words[portfolio])
    return found


def _words(figure: Figure, known: Facts) -> Words:
    """(portfolios,): of each portfolio, that of the first lack that holds."""
    words = np.full(known.usable.shape, _OUT_OF_RANGE, dtype=object)
    for lack in reversed(figure.lacks):
        words[np.broadcast_to(lack.holds(known), words.shape)] = lack.words
    if NO_BENCHMARK in figure.lacks:
        _say_what_the_benchmark_lacks(known, words)
    return words


def _say_what_the_benchmark_lacks(known: Facts, words: Words) -> None:
    if known.series.benchmark is None:
        words[:] = known.series.no_benchmark
        return
    usable = known.usable_benchmark[:1] if known.series.benchmark.shape[1] == 1 else known.usable_benchmark
    gaps = _gaps(known.series.benchmark, usable, "of the benchmark's returns are", "of the benchmark's returns is")
    for portfolio in np.flatnonzero(~known.usable_benchmark).tolist():
        words[portfolio] = gaps[portfolio if len(usable) > 1 else 0]


def _gaps(
    series: FloatArray, usable: np.ndarray[tuple[int], np.dtype[np.bool_]], many: str, one: str
) -> dict[int, str]:
    """By column of `series` that is not usable: how many of its numbers are missing, and where the first is."""
    found = {}
    for column in np.flatnonzero(~usable):
        rows = np.flatnonzero(~np.isfinite(series[:, column]))
        what = "missing" if np.isnan(series[rows[0], column]) else "infinite"
        share = f"{len(rows)} of {len(series)}"
        found[int(column)] = f"{share} {one if len(rows) == 1 else many} {what}, the first in row {rows[0]}"
    return found

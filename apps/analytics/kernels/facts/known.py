"""All that is known of the portfolios, gathered block by block."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from apps.analytics.kernels.facts.markets import Against, Market, MarketFacts, against, market
from apps.analytics.kernels.facts.moments import Moments, moments
from apps.analytics.kernels.facts.paths import Path, growth_of, path
from apps.analytics.kernels.facts.periods import TRAILING_MONTHS, Calendar, Periods, periods
from apps.analytics.kernels.facts.rows import (
    BoolArray,
    FloatArray,
    as_rows,
    blocks,
    finite_rows,
    joined,
    stripes,
    unknown,
)
from apps.analytics.kernels.facts.runs import Runs, runs
from apps.analytics.kernels.facts.tails import Tails, tails


@dataclass(frozen=True, slots=True)
class Series:
    """What is asked: `returns` (days, portfolios), `benchmark` (days, 1 or portfolios) or None, annual and daily
    risk-free rate as fractions, the calendar of the days or None, and why there is no benchmark where there is none."""

    returns: FloatArray
    benchmark: FloatArray | None
    risk_free_rate: float
    daily_rate: float
    calendar: Calendar | None
    no_benchmark: str = "no benchmark"

    @property
    def days(self) -> int:
        return self.returns.shape[0]

    @property
    def portfolios(self) -> int:
        return self.returns.shape[1]


@dataclass(frozen=True, slots=True)
class Facts:
    """`days` and the fields of each part, NaN where a part is not known; `usable`: no number is missing."""

    series: Series
    days: np.float64
    usable: BoolArray
    usable_benchmark: BoolArray
    moments: Moments
    runs: Runs
    path: Path
    tails: Tails
    periods: Periods
    market: MarketFacts
    against: Against


@dataclass(frozen=True, slots=True)
class _Block:
    usable: BoolArray
    usable_benchmark: BoolArray
    moments: Moments
    runs: Runs
    path: Path
    tails: Tails
    periods: Periods
    market: MarketFacts
    against: Against


def gather(series: Series) -> Facts:
    """The facts of all portfolios. Blocks do not know of each other, so all cores work on them at once."""
    shared = _shared_market(series)
    cuts = stripes(series.days, series.portfolios)
    with ThreadPoolExecutor(min(len(cuts), _cores())) if len(cuts) > 1 else nullcontext() as threads:
        work = threads.map if threads else map
        found = [block for stripe in work(lambda cut: _stripe(series, shared, cut), cuts) for block in stripe]
    return Facts(
        series=series,
        days=np.float64(series.days),
        usable=np.concatenate([each.usable for each in found]),
        usable_benchmark=np.concatenate([each.usable_benchmark for each in found]),
        moments=joined([each.moments for each in found]),
        runs=joined([each.runs for each in found]),
        path=joined([each.path for each in found]),
        tails=joined([each.tails for each in found]),
        periods=joined([each.periods for each in found]),
        market=found[0].market if shared else joined([each.market for each in found]),
        against=joined([each.against for each in found]),
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@np.errstate(all="ignore")
def _shared_market(series: Series) -> tuple[Market, BoolArray] | None:
    """The market of a benchmark that all portfolios have, and whether it is usable."""
    if series.benchmark is None or series.benchmark.shape[1] != 1:
        return None
    return _market(as_rows(series.benchmark), series.daily_rate)


def _market(benchmark: FloatArray, daily_rate: float) -> tuple[Market, BoolArray]:
    rows, usable = finite_rows(benchmark)
    return market(rows, daily_rate), usable


# Numbers near the end of a float's range overflow on the way: they end as None with a reason, not as a warning.
@np.errstate(all="ignore")
def _stripe(series: Series, shared: tuple[Market, BoolArray] | None, cut: slice) -> list[_Block]:
    returns = as_rows(series.returns[:, cut])
    own = None if shared or series.benchmark is None else as_rows(series.benchmark[:, cut])
    return [
        _block(series, returns[rows], shared or (None if own is None else _market(own[rows], series.daily_rate)))
        for rows in blocks(*returns.shape[::-1])
    ]


def _block(series: Series, rows: FloatArray, beside: tuple[Market, BoolArray] | None) -> _Block:
    returns, usable = finite_rows(rows)
    found, deviations = moments(returns, series.daily_rate)
    growth = growth_of(returns)
    parts = found, runs(returns), path(growth), tails(returns), _dated(series, returns, growth)
    if beside is None:
        portfolios = len(returns)
        absent = unknown(MarketFacts, portfolios), unknown(Against, portfolios)
        return _Block(usable, np.zeros(portfolios, dtype=np.bool_), *parts, *absent)
    to_it = against(returns, deviations, beside[0])
    return _Block(usable, np.broadcast_to(beside[1], usable.shape), *parts, beside[0].facts, to_it)


def _dated(series: Series, returns: FloatArray, growth: FloatArray) -> Periods:
    if series.calendar is None:
        return unknown(Periods, len(returns), begins=2 + len(TRAILING_MONTHS))
    return periods(returns, growth, series.calendar)

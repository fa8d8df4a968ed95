"""The daily lines of the performance page, as charts and in words: cumulative return and drawdown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from apps.analytics.models import AnalyticsMetric
from apps.analytics.reports.curves import DateArray, FloatArray, Series, drawdown_of, growth_of, series_of
from apps.analytics.reports.thinning import thinned

# A chart is no wider than this; what is longer keeps its peaks and troughs.
MOST_POINTS = 1_200
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Curves:
    """Figures are fractions, as of the last day; `chart` has lists of equal length beside its `dates`."""

    earned: float | None
    benchmark_earned: float | None
    below_peak: float | None
    benchmark_reason: str | None
    chart: dict[str, Any]


def daily_series(metric: AnalyticsMetric) -> Series:
    """The very returns that the stored figures were measured on. Raises what reading prices and ledger raises."""
    return _series(metric.pk, metric.snapshot_id, metric.timestamp)


@lru_cache(maxsize=16)
def _series(metric_id: int, snapshot_id: str, calculated_at: datetime) -> Series:
    """Kept by the process: prices of an old version may take seconds to read, and several fragments need the series.

    Snapshot and time tell a performance from one of the same number in another database.
    """
    return series_of(AnalyticsMetric.objects.select_related("snapshot").get(pk=metric_id))


def curves_of(series: Series) -> Curves:
    columns = _paths("", series.returns)
    if series.benchmark is not None:
        columns |= _paths("benchmark_", series.benchmark)
    return Curves(
        earned=_at_end(columns["return"]),
        benchmark_earned=_at_end(columns["benchmark_return"]) if series.benchmark is not None else None,
        below_peak=_at_end(columns["drawdown"]),
        benchmark_reason=series.benchmark_reason,
        chart=chart_of(np.concatenate(([series.start], series.ends)), columns),
    )


def _paths(prefix: str, returns: FloatArray) -> dict[str, FloatArray]:
    growth = growth_of(returns)
    return {f"{prefix}return": growth - 1.0, f"{prefix}drawdown": drawdown_of(growth)}


def chart_of(days: DateArray, columns: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Columns (days,) for a script: short numbers, null where there is none, and no more points than can be seen."""
    rows = _rows(columns.values())
    lists = {name: _rounded(values[rows]) for name, values in columns.items()}
    return {"dates": [str(day) for day in days[rows]], **lists}


def _rows(columns: Iterable[FloatArray]) -> npt.NDArray[np.intp]:
    return np.unique(np.concatenate([thinned(column, MOST_POINTS) for column in columns]))


def _rounded(values: FloatArray) -> list[float | None]:
    return [round(value, DIGITS) if np.isfinite(value) else None for value in values.tolist()]


def _at_end(values: FloatArray) -> float | None:
    return float(values[-1]) if np.isfinite(values[-1]) else None

"""One rolling measure of a stored performance: which there are, over which windows, as a chart and in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.analytics.reports.curves import DateArray, FloatArray, Series, rolling_window
from apps.analytics.reports.measures import label_of, shown, text_of
from apps.analytics.rolling import rolling_of
from apps.dashboard.pages.performance_curves import chart_of

WINDOWS_DAYS = (21, 63, 126, 252, 504)
AGAINST = ("beta", "alpha", "correlation")
MEASURES = ("sharpe", "sortino", "volatility", "max_drawdown", "var_95", *AGAINST)
IN_PERCENT = ("volatility", "max_drawdown", "var_95", "alpha")
CHOICES = tuple((name, label_of(name)) for name in MEASURES)
# By which measure of a whole period one is defined, where that has another name.
_DEFINED_BY = {"volatility": "annual_volatility"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """`window_days` is None where the period is shorter than each of the windows."""

    measure: str
    window_days: int | None
    windows: tuple[int, ...]

    @property
    def label(self) -> str:
        return label_of(self.measure)

    @property
    def about(self) -> str:
        return shown(_DEFINED_BY.get(self.measure, self.measure), None, {}).about


@dataclass(frozen=True, slots=True)
class Point:
    date: str
    text: str


@dataclass(frozen=True, slots=True)
class Rolling:
    """A measure of the last `window_days` returns on every day. Where `reason` says why not, there is nothing else."""

    chosen: Chosen
    reason: str = ""
    last: Point | None = None
    lowest: Point | None = None
    highest: Point | None = None
    chart: dict[str, Any] | None = None


def choose(asked: Mapping[str, str], result: Mapping[str, Any]) -> Chosen:
    """What was asked for, where it is offered; else the first measure, over the window of the result or its report."""
    days, own = result["observations"], (result.get("rolling") or {}).get("window_days")
    windows = tuple(window for window in sorted({*WINDOWS_DAYS, own or WINDOWS_DAYS[0]}) if window <= days)
    wanted = [_as_days(asked.get("window", "")), own, rolling_window(days), *windows]
    window = next((each for each in wanted if each in windows), None)
    measure = asked.get("measure", "")
    return Chosen(measure if measure in MEASURES else MEASURES[0], window, windows)


def _as_days(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else None


def rolling_shown(chosen: Chosen, series: Series, risk_free_rate: float) -> Rolling:
    measure, window = chosen.measure, chosen.window_days
    if window is None:
        days = len(series.returns)
        return Rolling(chosen, f"The shortest window is {WINDOWS_DAYS[0]} returns; the period has {days}.")
    if measure in AGAINST and series.benchmark is None:
        return Rolling(chosen, f"It is measured against a benchmark: {series.benchmark_reason}.")
    columns = _columns(series, measure, window, risk_free_rate)
    if not np.isfinite(columns["value"]).any():
        return Rolling(chosen, f"No {window} returns of the period have such a figure.")
    ends = series.ends[window - 1 :]
    chart = {**chart_of(ends, columns), "in_percent": measure in IN_PERCENT}
    return Rolling(chosen, "", *_points(ends, columns["value"], measure), chart)


def _columns(series: Series, measure: str, window: int, rate: float) -> dict[str, FloatArray]:
    """From the first day with a whole window on; beside it the benchmark's own, where it has one."""
    columns = {"value": _rolled(series.ends, series.returns, series.benchmark, measure, window, rate)}
    if series.benchmark is not None and measure not in AGAINST:
        columns["benchmark_value"] = _rolled(series.ends, series.benchmark, None, measure, window, rate)
    return columns


def _rolled(
    ends: DateArray, returns: FloatArray, benchmark: FloatArray | None, measure: str, window: int, rate: float
) -> FloatArray:
    rolled, reason = rolling_of(ends, returns, benchmark, window, rate)
    if rolled is None:
        raise ValueError(f"{reason}; expected a window that the period has")
    return np.array([np.nan if value is None else value for value in rolled[measure]])


def _points(days: DateArray, values: FloatArray, measure: str) -> tuple[Point, Point, Point]:
    """The last, the lowest and the highest."""
    last = int(np.flatnonzero(np.isfinite(values))[-1])
    rows = (last, int(np.nanargmin(values)), int(np.nanargmax(values)))
    last_point, lowest, highest = (Point(str(days[row]), text_of(measure, float(values[row]))) for row in rows)
    return last_point, lowest, highest

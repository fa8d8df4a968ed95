"""The drawings of a tear sheet, each an SVG of its own, or the reason in words why there is nothing to draw."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from apps.analytics.reports.drawing import (
    INK,
    LOSS,
    OTHER,
    OWN,
    as_svg,
    date_axis,
    legend_above,
    new_axes,
    percent_axis,
    whole_axis,
)
from apps.analytics.reports.numbers import TOO_LARGE, percent, plain
from apps.analytics.reports.thinning import thinned

FloatArray = npt.NDArray[np.float64]

# Points of a drawn line: four a point of its width.
MOST_POINTS = 1_200
BINS = 50


class NothingToDrawError(Exception):
    """The reason in words, for the reader."""


@dataclass(frozen=True, slots=True)
class Chart:
    """`alt` says in words what the drawing shows; `svg` is empty where there is none, and `reason` says why."""

    name: str
    title: str
    alt: str
    svg: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Plan:
    name: str
    title: str
    draw: Callable[[dict[str, Any], Any], str]  # onto the axes; gives the words
    is_rolling: bool = False


def draw_charts(sheet: dict[str, Any]) -> list[Chart]:
    return [_drawn(plan, sheet) for plan in _PLANS]


def _drawn(plan: _Plan, sheet: dict[str, Any]) -> Chart:
    figure, axes = new_axes()
    window = sheet["daily"]["rolling_window_days"]
    title = f"{plan.title}, {window} days" if plan.is_rolling and window else plan.title
    try:
        alt = plan.draw(sheet, axes)
    except NothingToDrawError as reason:
        return Chart(plan.name, title, "", "", f"{reason}.")
    return Chart(plan.name, title, alt, as_svg(figure, plan.name), "")


def _draw_growth(sheet: dict[str, Any], axes: Any) -> str:
    own = _draw_lines(sheet, axes, "cumulative_return", "benchmark_cumulative_return")
    percent_axis(axes.yaxis)
    return f"Cumulative return by day, from {percent(own[0], 1)} to {percent(own[-1], 1)}."


def _draw_drawdown(sheet: dict[str, Any], axes: Any) -> str:
    own = _draw_lines(sheet, axes, "drawdown", "benchmark_drawdown", colour=LOSS, filled=True)
    percent_axis(axes.yaxis)
    axes.set_ylim(top=0)
    return f"Distance below the highest value so far, by day; the deepest is {percent(own.min(), 1)}."


def _draw_sharpe(sheet: dict[str, Any], axes: Any) -> str:
    own = _draw_lines(sheet, axes, "rolling_sharpe", "benchmark_rolling_sharpe")
    axes.axhline(0, color=INK, linewidth=0.7)
    return f"Sharpe ratio of the days before each day, between {plain(own.min())} and {plain(own.max())}."


def _draw_volatility(sheet: dict[str, Any], axes: Any) -> str:
    own = _draw_lines(sheet, axes, "rolling_volatility", "benchmark_rolling_volatility")
    percent_axis(axes.yaxis)
    axes.set_ylim(bottom=0)
    least, most = percent(own.min(), 1), percent(own.max(), 1)
    return f"Annual volatility of the days before each day, between {least} and {most}."


def _draw_lines(
    sheet: dict[str, Any], axes: Any, name: str, of_benchmark: str, colour: str = OWN, filled: bool = False
) -> FloatArray:
    """The portfolio's line, full, and the benchmark's, dashed; gives the portfolio's figures without the gaps."""
    daily = sheet["daily"]
    if daily[name] is None:
        raise NothingToDrawError(daily["rolling_reason"])
    own = _column(daily[name])
    if np.isfinite(own).sum() < 2:
        raise NothingToDrawError("There are fewer than two days with a figure")
    if np.nanmax(np.abs(own)) > TOO_LARGE:
        raise NothingToDrawError("The figures are too large to draw")
    _line(axes, daily["dates"], own, color=colour, label="Portfolio", zorder=3)
    if filled:
        _fill(axes, daily["dates"], own, colour)
    if daily[of_benchmark] is not None:
        _line(axes, daily["dates"], _column(daily[of_benchmark]), color=OTHER, label=_symbol(sheet), linestyle="--")
        legend_above(axes)
    date_axis(axes, len(own))
    return own[np.isfinite(own)]


def _line(axes: Any, dates: list[str], values: FloatArray, **style: Any) -> None:
    rows = thinned(values, MOST_POINTS)
    axes.plot(np.array(dates, dtype="datetime64[D]")[rows], values[rows], **style)


def _fill(axes: Any, dates: list[str], values: FloatArray, colour: str) -> None:
    rows = thinned(values, MOST_POINTS)
    days = np.array(dates, dtype="datetime64[D]")[rows]
    axes.fill_between(days, values[rows], 0, color=colour, alpha=0.18, linewidth=0)


def _column(values: list[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values])


def _symbol(sheet: dict[str, Any]) -> str:
    return str(sheet["performance"]["benchmark"])


def _draw_years(sheet: dict[str, Any], axes: Any) -> str:
    years = [row for row in sheet["yearly_returns"] if row["return"] is not None]
    if not years or max(abs(row["return"]) for row in years) > TOO_LARGE:
        raise NothingToDrawError("No year has a return that can be drawn")
    with_benchmark = sheet["daily"]["benchmark_return"] is not None
    place, width = np.arange(len(years)), 0.4 if with_benchmark else 0.6
    own = _column([row["return"] for row in years])
    axes.bar(place - (width / 2 if with_benchmark else 0), own, width, color=OWN, label="Portfolio")
    if with_benchmark:
        other = _column([row["benchmark_return"] for row in years])
        axes.bar(
            place + width / 2, other, width, label=_symbol(sheet), facecolor="white", edgecolor=OTHER, hatch="////"
        )
        legend_above(axes)
    _label_years(axes, [row["year"] for row in years])
    axes.axhline(0, color=INK, linewidth=0.7)
    percent_axis(axes.yaxis)
    return f"Return of each year, between {percent(own.min(), 1)} and {percent(own.max(), 1)}."


def _label_years(axes: Any, years: list[int]) -> None:
    step = -(-len(years) // 12)
    shown = range(0, len(years), step)
    axes.set_xticks(list(shown), [str(years[row]) for row in shown])
    axes.set_xlim(-0.8, max(len(years), 3) - 0.2)
    axes.grid(visible=False, axis="x")


def _draw_distribution(sheet: dict[str, Any], axes: Any) -> str:
    returns = _column(sheet["daily"]["return"])[1:]
    if len(returns) < 2:
        raise NothingToDrawError("There is one return only: a distribution needs two")
    if np.ptp(returns) < 1e-12:
        raise NothingToDrawError("The returns do not vary")
    axes.hist(returns, _edges(returns), color=OWN, alpha=0.75)
    words = [_mark(axes, sheet, *mark) for mark in (("var_95", "VaR 95 %", "--"), ("cvar_95", "ES 95 %", ":"))]
    legend_above(axes)
    percent_axis(axes.xaxis)
    axes.set_ylabel("days")
    whole_axis(axes.yaxis)
    axes.grid(visible=False, axis="x")
    return f"How many days had which return{''.join(words)}."


def _edges(returns: FloatArray) -> FloatArray:
    return np.linspace(returns.min(), returns.max(), min(BINS, max(8, len(returns) // 4)) + 1)


def _mark(axes: Any, sheet: dict[str, Any], name: str, label: str, linestyle: str) -> str:
    """A line at a loss of the worst days, and its words; nothing where there is no such figure."""
    loss = sheet["performance"]["metrics"].get(name)
    if loss is None:
        return ""
    axes.axvline(-loss, color=LOSS, linestyle=linestyle, linewidth=1.3, label=f"{label}: {percent(loss)}")
    return f"; {label} is {percent(loss)}"


_PLANS = (
    _Plan("growth", "Cumulative return", _draw_growth),
    _Plan("drawdown", "Drawdown", _draw_drawdown),
    _Plan("years", "Return by year", _draw_years),
    _Plan("distribution", "Distribution of daily returns", _draw_distribution),
    _Plan("sharpe", "Rolling Sharpe ratio", _draw_sharpe, is_rolling=True),
    _Plan("volatility", "Rolling annual volatility", _draw_volatility, is_rolling=True),
)

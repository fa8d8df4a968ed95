"""A portfolio's value and its drawdown day by day, as a chart can show them: from the stored history."""

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from apps.analytics.kernels.facts.paths import falls_of, growth_of
from apps.portfolios.models import Portfolio, PortfolioData, PortfolioReturn
from apps.portfolios.prices import current_price_version

# Trading days that each button shows; None for all.
RANGES: dict[str, int | None] = {"1m": 21, "3m": 63, "1y": 252, "5y": 1260, "all": None}
RANGE_TITLES = {"1m": "1 month", "3m": "3 months", "1y": "1 year", "5y": "5 years", "all": "All"}
FIRST_RANGE = "1y"
# A screen has no more points than this, and a page of 30 years would be heavy with them.
MOST_POINTS = 520


@dataclass(frozen=True, slots=True)
class History:
    """`points` are for the chart: of `days_a_point` days each, the last value and the deepest drawdown.

    `started` is the first day of all. `earned` is the time-weighted return of the shown days, `paid_in` what came in
    or went out on them. `deepest` and `now` are drawdowns, negative, below the highest that the index has ever been;
    None where there is no return, as after `ended_on`, the day on which the portfolio was worth nothing any more.
    """

    chosen: str
    started: date
    first: date
    last: date
    first_value: float
    last_value: float
    paid_in: float
    earned: float | None
    deepest: float | None
    deepest_on: date | None
    now: float | None
    ended_on: date | None
    days: int
    days_a_point: int
    behind: str
    points: dict[str, list[Any]]

    @property
    def ranges(self) -> list[tuple[str, str]]:
        return list(RANGE_TITLES.items())


def read_history(portfolio: Portfolio, chosen: str) -> History | None:
    """None where no history is stored yet."""
    chosen = chosen if chosen in RANGES else FIRST_RANGE
    newest_first = PortfolioData.objects.filter(portfolio=portfolio).order_by("-date")
    days = RANGES[chosen]
    rows = list(newest_first.values_list("date", "value", "net_flow")[: None if days is None else days + 1])[::-1]
    if not rows:
        return None
    started = newest_first.values_list("date", flat=True).last() or rows[0][0]
    return _history(chosen, started, rows, _growth_by_day(portfolio), _why_behind(portfolio))


def _growth_by_day(portfolio: Portfolio) -> dict[date, tuple[float, float]]:
    """The time-weighted index and its fall below its peak, at the close of each day that has a return."""
    rows = PortfolioReturn.objects.filter(portfolio=portfolio).order_by("date").values_list("date", "value")
    dates, returns = [day for day, _ in rows], np.array([value for _, value in rows], dtype=float)
    growth = growth_of(returns[np.newaxis, :])
    falls = falls_of(growth)[0, 1:-1] if len(returns) else returns
    return dict(zip(dates, zip(growth[0, 1:].tolist(), falls.tolist(), strict=True), strict=True))


def _history(
    chosen: str,
    started: date,
    rows: list[tuple[date, float, float]],
    growth: dict[date, tuple[float, float]],
    behind: str,
) -> History:
    dates = [day for day, _, _ in rows]
    # Before the first return nothing has fallen yet; after the last one there is no index any more.
    begin = (1.0, 0.0) if not growth or dates[0] < min(growth) else None
    paths = [growth.get(day, begin if place == 0 else None) for place, day in enumerate(dates)]
    known = [(path[1], day) for path, day in zip(paths, dates, strict=True) if path]
    deepest, deepest_on = min(known, default=(None, None))
    first_path, last_path = paths[0], paths[-1]
    size = max(1, math.ceil(len(rows) / MOST_POINTS))
    return History(
        chosen=chosen,
        started=started,
        first=dates[0],
        last=dates[-1],
        first_value=rows[0][1],
        last_value=rows[-1][1],
        paid_in=math.fsum(flow for _, _, flow in rows[1:]),
        earned=last_path[0] / first_path[0] - 1 if first_path and last_path and first_path[0] else None,
        deepest=deepest,
        deepest_on=deepest_on,
        now=last_path[1] if last_path else None,
        ended_on=None if last_path or not growth else max(growth),
        days=len(rows),
        days_a_point=size,
        behind=behind,
        points=_points(rows, [path[1] if path else None for path in paths], size),
    )


def _points(rows: list[tuple[date, float, float]], falls: list[float | None], size: int) -> dict[str, list[Any]]:
    """Groups of `size` days, counted back from the last, so that the newest day is always one that is shown."""
    ends = list(range(len(rows), 0, -size))[::-1]
    groups = [slice(max(0, end - size), end) for end in ends]
    deepest = [min((fall for fall in falls[group] if fall is not None), default=None) for group in groups]
    last = [rows[group][-1] for group in groups]
    return {
        "dates": [day.isoformat() for day, _, _ in last],
        "values": [round(value, 2) for _, value, _ in last],
        "drawdowns": [None if fall is None else round(fall, 6) for fall in deepest],
    }


def _why_behind(portfolio: Portfolio) -> str:
    """Why the stored history is not of the book and the prices as they are now; empty where it is."""
    if portfolio.closed_at is not None:
        return ""
    if portfolio.history_ledger_version < portfolio.ledger_version:
        return "Trades or payments were booked since; the history is brought up to date every few seconds."
    if portfolio.history_price_version < current_price_version():
        return "Prices were imported since; the history is brought up to date every few seconds."
    return ""

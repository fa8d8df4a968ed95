"""A backtest's equity as a line: points of an SVG, computed here, so that the page needs no script."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

WIDTH, HEIGHT = 600, 120
MOST_POINTS = 600  # one a unit of the width


@dataclass(frozen=True, slots=True)
class Curve:
    """`points` is what a polyline takes, in a box of WIDTH x HEIGHT; the rest is said beside it."""

    points: str
    first_day: str
    last_day: str
    lowest: float
    highest: float
    change: float | None  # of the last against the first, as a fraction

    @property
    def said(self) -> str:
        change = "" if self.change is None else f", {self.change:+.2%} in all"
        return f"{self.lowest:,.0f} to {self.highest:,.0f}{change}"

    @property
    def width(self) -> int:
        return WIDTH

    @property
    def height(self) -> int:
        return HEIGHT


def equity_curve(values: Any) -> Curve | None:
    """Of [[date, value], …]; days without a value are left out. None for fewer than two."""
    known = [(str(day), float(value)) for day, value in values or [] if value is not None and isfinite(value)]
    if len(known) < 2:
        return None
    equity = [value for _, value in known]
    first, last = equity[0], equity[-1]
    change = last / first - 1 if first > 0 else None
    return Curve(_points(equity), known[0][0], known[-1][0], min(equity), max(equity), change)


def _points(equity: Sequence[float]) -> str:
    lowest, span = min(equity), (max(equity) - min(equity)) or 1.0
    shown = _shown(len(equity))
    return " ".join(
        f"{WIDTH * at / (len(equity) - 1):.1f},{HEIGHT * (1 - (equity[at] - lowest) / span):.1f}" for at in shown
    )


def _shown(count: int) -> list[int]:
    """At most MOST_POINTS places, the first and the last among them."""
    if count <= MOST_POINTS:
        return list(range(count))
    return sorted({round(step * (count - 1) / (MOST_POINTS - 1)) for step in range(MOST_POINTS)})

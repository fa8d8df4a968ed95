"""One scenario's row of a stress result: the P&L of the book, by position and by sector."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.risk.kernels.historical import FloatArray


@dataclass(frozen=True, slots=True)
class StressBook:
    """What is stressed: `values` (symbols,) in the book's currency, `total` with cash; a sector is "" where unknown."""

    symbols: tuple[str, ...]
    values: FloatArray
    total: float
    sectors: tuple[str, ...]
    benchmark: str | None

    def pct(self, amount: float) -> float | None:
        return amount / self.total if self.total > 0 else None


def by_position(
    book: StressBook, returns: FloatArray, parts: FloatArray, **more: Sequence[Any]
) -> list[dict[str, Any]]:
    """The moves and the P&L that they make, position by position; `more` are columns beside them."""
    columns: dict[str, Sequence[Any]] = {
        "symbol": book.symbols,
        "value": book.values.tolist(),
        "return": returns.tolist(),
        "pnl": parts.tolist(),
        **more,
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def by_sector(book: StressBook, parts: FloatArray) -> list[dict[str, Any]]:
    """Summed up by sector, in alphabetical order; null, at the end, is what has none."""
    places = defaultdict(list)
    for place, sector in enumerate(book.sectors):
        places[sector].append(place)
    return [
        {
            "sector": sector or None,
            "value": math.fsum(book.values[places[sector]].tolist()),
            "pnl": math.fsum(parts[places[sector]].tolist()),
        }
        for sector in sorted(places, key=lambda name: (not name, name))
    ]


def scenario_row(
    book: StressBook, head: dict[str, Any], pnl: float, parts: FloatArray, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """`head` names the scenario; `parts` add up to `pnl` exactly, and so do the sectors."""
    return {
        **head,
        "pnl": pnl,
        "pnl_pct": book.pct(pnl),
        "value_after": book.total + pnl,
        "by_position": rows,
        "by_sector": by_sector(book, parts),
    }


def beyond_all(book: StressBook, returns: FloatArray) -> str:
    """Which prices would fall below zero, as in `AAPL (-132 %), XOM (-105 %)`; empty where none would."""
    below = [(symbol, move) for symbol, move in zip(book.symbols, returns.tolist(), strict=True) if move < -1]
    return ", ".join(f"{symbol} ({move:.0%})" for symbol, move in below)

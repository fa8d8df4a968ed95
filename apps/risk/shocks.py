"""Own shocks: the most specific that names a position moves it, its symbol before its sector before all.

A shock of the benchmark is the least specific: what nothing else names moves by its beta times the shock.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.risk.errors import BenchmarkError
from apps.risk.kernels.historical import FloatArray
from apps.risk.kernels.stress import split_pnl
from apps.risk.stress_rows import StressBook, beyond_all, by_position, scenario_row
from apps.risk.stress_window import StressWindow


@dataclass(frozen=True, slots=True)
class Moved:
    """Each position's return, what made it (`symbol`, `sector`, `all`, `beta` or `none`), and its beta where used."""

    returns: FloatArray
    basis: list[str]
    betas: list[float | None]


def shock_rows(
    book: StressBook, inputs: dict[str, Any], window: StressWindow | None, warnings: list[str]
) -> list[dict[str, Any]]:
    """Raises BenchmarkError."""
    rows = []
    for shock in inputs["shocks"]:
        moved = _moves(book, shock, _betas(book, shock, window))
        rows.append(_row(book, shock, moved))
        warnings.extend(f"{shock['name']}: {said}" for said in _said(book, shock, moved))
    return rows


def _row(book: StressBook, shock: dict[str, Any], moved: Moved) -> dict[str, Any]:
    pnl, parts = split_pnl(moved.returns, book.values)
    head = {
        "name": shock["name"],
        "title": shock["name"],
        "kind": "shock" if shock["benchmark"] is None else "factor",
        "start": None,
        "end": None,
        "worst_point": None,
    }
    rows = by_position(book, moved.returns, parts, basis=moved.basis, beta=moved.betas)
    return scenario_row(book, head, pnl, parts, rows)


def _betas(book: StressBook, shock: dict[str, Any], window: StressWindow | None) -> list[float | None]:
    if shock["benchmark"] is None:
        return [None] * len(book.symbols)
    if window is None or window.betas is None:
        raise BenchmarkError(
            f"The shock '{shock['name']}' moves the benchmark, but {window.reason if window else 'there is none'}.",
            "Give the portfolio a benchmark with prices in the window, or shock symbols, sectors or all.",
            attr="shocks",
        )
    return window.betas.tolist()


def _moves(book: StressBook, shock: dict[str, Any], betas: list[float | None]) -> Moved:
    found = [_move(shock, *position) for position in zip(book.symbols, book.sectors, betas, strict=True)]
    used = [beta if basis == "beta" else None for (_, basis), beta in zip(found, betas, strict=True)]
    return Moved(np.array([move for move, _ in found]), [basis for _, basis in found], used)


def _move(shock: dict[str, Any], symbol: str, sector: str, beta: float | None) -> tuple[float, str]:
    if symbol in shock["symbols"]:
        return shock["symbols"][symbol], "symbol"
    if sector in shock["sectors"]:
        return shock["sectors"][sector], "sector"
    if shock["all"] is not None:
        return shock["all"], "all"
    return (0.0, "none") if beta is None else (beta * shock["benchmark"], "beta")


def _said(book: StressBook, shock: dict[str, Any], moved: Moved) -> list[str]:
    said = []
    if not_held := sorted(shock["symbols"].keys() - set(book.symbols)):
        said.append(f"not held, so without effect: {', '.join(not_held)}")
    if empty := sorted(shock["sectors"].keys() - set(book.sectors)):
        said.append(f"nothing held is in {', '.join(empty)}")
    if shock["sectors"] and (unknown := _without_sector(book, moved)):
        said.append(f"no sector is known of {', '.join(unknown)}, so that no shock of a sector reaches them")
    if below := beyond_all(book, moved.returns):
        said.append(f"beta times the shock is below -100 %, which no price can fall: {below}")
    return said


def _without_sector(book: StressBook, moved: Moved) -> list[str]:
    positions = zip(book.symbols, book.sectors, moved.basis, strict=True)
    return [symbol for symbol, sector, basis in positions if not sector and basis != "symbol"]

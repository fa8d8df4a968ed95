"""Reverse stress: the smallest, that is most likely, move that loses an amount; and the benchmark's that does."""

import math
from typing import Any

import numpy as np
import scipy

from apps.risk.errors import ReverseLossError
from apps.risk.kernels.stress import ReverseStress, expected_move, reverse_stress
from apps.risk.stress_rows import StressBook, beyond_all, by_position, by_sector
from apps.risk.stress_window import StressWindow

_UNKNOWN = ("pnl", "volatility_daily", "distance", "probability", "benchmark_return")


def reverse_row(
    book: StressBook, asked: dict[str, float | None], window: StressWindow, warnings: list[str]
) -> dict[str, Any]:
    """Raises ReverseLossError."""
    loss = _loss(book, asked)
    found = reverse_stress(window.book.returns, book.values, window.book.pnl, loss)
    if found is None:
        warnings.append(
            "reverse: the book's value does not move in the window: no move of its covariance loses anything"
        )
    else:
        warnings.extend(f"reverse: {said}" for said in _said(book, window, found, loss))
    return {
        "loss": loss,
        "loss_pct": book.pct(loss),
        "observations": len(window.book.pnl),
        **(_figures(book, window, found, loss) if found else _no_figures()),
        "single_factor": _single_factor(book, window, loss, warnings),
    }


def _loss(book: StressBook, asked: dict[str, float | None]) -> float:
    if asked["loss"] is not None:
        return asked["loss"]
    if book.total <= 0:
        raise ReverseLossError(
            f"The portfolio is worth {book.total:.2f}: {asked['loss_pct']} of that is no loss.",
            'Ask for an amount, as in "reverse": {"loss": 50000}.',
            attr="reverse",
        )
    return (asked["loss_pct"] or 0.0) * book.total


def _figures(book: StressBook, window: StressWindow, found: ReverseStress, loss: float) -> dict[str, Any]:
    benchmark = window.benchmark
    return {
        "pnl": found.pnl,
        "volatility_daily": found.deviation,
        "distance": found.distance,
        "probability": found.probability,
        "benchmark_return": None if benchmark is None else expected_move(benchmark, window.book.pnl, loss),
        "by_position": by_position(book, found.move, found.parts),
        "by_sector": by_sector(book, found.parts),
    }


def _no_figures() -> dict[str, Any]:
    return {**dict.fromkeys(_UNKNOWN), "by_position": [], "by_sector": []}


def _said(book: StressBook, window: StressWindow, found: ReverseStress, loss: float) -> list[str]:
    said = []
    if below := beyond_all(book, found.move):
        said.append(f"the most likely move takes prices below -100 %, which none can fall: {below}")
    if len(window.book.pnl) <= len(book.symbols):
        said.append(
            f"{len(window.book.pnl)} days hold no full covariance of {len(book.symbols)} symbols: only moves like "
            "those of the window were searched"
        )
    worst = int(np.argmin(window.book.pnl))
    if loss > -window.book.pnl[worst]:
        said.append(
            f"the window's worst day ({window.book.dates[worst]}) made {window.book.pnl[worst]:.2f}: a loss of "
            f"{loss:.2f} is beyond what its covariance has seen, and the normal probability is far too small there"
        )
    return said


def _single_factor(book: StressBook, window: StressWindow, loss: float, warnings: list[str]) -> dict[str, Any] | None:
    """The benchmark's move that loses the amount by beta, the rest of each position's risk left at zero."""
    if window.betas is None or window.benchmark is None:
        warnings.append(f"reverse: {window.reason}, so there is no single-factor answer")
        return None
    exposures = window.betas * book.values
    exposure = math.fsum(exposures.tolist())
    if abs(exposure) <= 1e-12 * math.fsum(np.abs(exposures).tolist()):
        warnings.append(f"reverse: the book does not move with {book.benchmark}: no move of it loses anything by beta")
        return None
    move = -loss / exposure
    if move < -1:
        warnings.append(f"reverse: {book.benchmark} would have to fall by {-move:.0%}, which no price can")
    distance = abs(move) / float(np.std(window.benchmark, ddof=1))
    return {
        "symbol": book.benchmark,
        "move": move,
        "beta_exposure": exposure,
        "distance": distance,
        "probability": float(scipy.special.ndtr(-distance)),
    }

"""`risk.analyze_chunk`: historical VaR and ES of many books at once, one matrix product for each window they share."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.portfolios.matrix import FloatArray, PriceMatrix
from apps.portfolios.snapshots import snapshot_id
from apps.risk.books import no_positions, refuse_foreign
from apps.risk.inputs import valued_before
from apps.risk.kernels.batch import batch_tail
from apps.risk.many_books import HeldBook, book_of_ledger
from apps.risk.windows import Rows, Window, Windows
from nautilus.api.errors import DomainError

# The kind of a book's snapshot: inputs by its ledger version, so that a book of a thousand positions is a short row.
KIND = "risk.analyze_all"


@dataclass(frozen=True, slots=True)
class Refused:
    """A book that has no figures, and why."""

    portfolio_id: str
    error: DomainError


def analyze_books(
    books: Iterable[HeldBook], parameters: dict[str, Any], matrix: PriceMatrix
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[Refused]]:
    """Exact inputs and results of the books that have figures, in the same order, and those that have none."""
    windows = Windows(matrix, parameters["window_days"])
    shared: dict[int, list[HeldBook]] = defaultdict(list)
    found: dict[int, Window] = {}
    refused = []
    for book in books:
        try:
            window = _window_of(book, windows)
        except DomainError as error:
            refused.append(Refused(book.portfolio_id, error))
            continue
        found[id(window)] = window
        shared[id(window)].append(book)
    inputs, results = [], []
    for key, group in shared.items():
        asked = [_inputs(book, found[key], parameters, matrix) for book in group]
        inputs += asked
        results += _results(group, asked, found[key], windows)
    return inputs, results, refused


def compute(inputs: dict[str, Any], matrix: PriceMatrix) -> dict[str, Any]:
    """One book's result from its exact inputs alone, with the bits that it had among many."""
    book = book_of_ledger(inputs)
    windows = Windows(matrix, inputs["window_days"])
    window = windows.of(book, as_of=np.datetime64(inputs["as_of"]).item())
    return _results([book], [inputs], window, windows)[0]


def _window_of(book: HeldBook, windows: Windows) -> Window:
    if not book.symbols:
        raise no_positions(book.portfolio_id, "now")
    refuse_foreign(book.portfolio_id, book.currency, book.foreign)
    return windows.of(book)


def _inputs(book: HeldBook, window: Window, parameters: dict[str, Any], matrix: PriceMatrix) -> dict[str, Any]:
    return {
        "portfolio_id": book.portfolio_id,
        "currency": book.currency,
        "benchmark": book.benchmark,
        "cash": str(book.cash),
        "ledger_version": book.ledger_version,
        "price_version": matrix.version,
        "window_days": parameters["window_days"],
        "confidences": parameters["confidences"],
        "as_of": window.as_of.isoformat(),
    }


def _results(
    books: list[HeldBook], inputs: list[dict[str, Any]], window: Window, windows: Windows
) -> list[dict[str, Any]]:
    """Of books of one window."""
    held = [windows.columns(book.symbols) for book in books]
    columns = np.unique(np.concatenate(held))
    values = _values(books, held, columns, windows.matrix.prices[window.rows[-1]])
    confidences = inputs[0]["confidences"]
    var, shortfall = batch_tail(windows.returns(window, columns), values, confidences)
    totals = [math.fsum([float(book.cash), *row[row != 0].tolist()]) for book, row in zip(books, values, strict=True)]
    return [
        {
            **{name: asked[name] for name in ("portfolio_id", "as_of", "currency")},
            "method": "historical",
            "horizon_days": 1,
            "observations": windows.window_days,
            "portfolio_value": total,
            "figures": [
                _figures(confidence, var[level, place], shortfall[level, place], total)
                for level, confidence in enumerate(confidences)
            ],
            "snapshot_id": snapshot_id(KIND, asked),
            "warnings": valued_before(asked["as_of"], window.newest.isoformat()),
        }
        for place, (asked, total) in enumerate(zip(inputs, totals, strict=True))
    ]


def _values(books: list[HeldBook], held: list[Rows], columns: Rows, closes: FloatArray) -> FloatArray:
    """(books, columns), 0 where nothing is held."""
    values = np.zeros((len(books), len(columns)))
    for row, (book, own) in enumerate(zip(books, held, strict=True)):
        values[row, np.searchsorted(columns, own)] = book.quantities * closes[own]
    return values


def _figures(confidence: float, var: float, shortfall: float, total: float) -> dict[str, Any]:
    has_value = total > 0
    return {
        "confidence": confidence,
        "var": float(var),
        "var_pct": float(var) / total if has_value else None,
        "expected_shortfall": float(shortfall),
        "expected_shortfall_pct": float(shortfall) / total if has_value else None,
    }

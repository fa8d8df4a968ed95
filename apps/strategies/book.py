"""A portfolio as a strategy's orders are sized by it: what it holds and is worth at the close of a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from apps.portfolios.errors import MissingPriceError
from apps.portfolios.matrix import FloatArray, PriceMatrix
from apps.portfolios.models import Instrument, Portfolio, Position


@dataclass(frozen=True, slots=True)
class Book:
    """Arrays are (symbols,): units held, the day's closes (NaN where there is none that day: no order is sized by an
    old one), and the multiple that orders of the symbol are of (0 for none). `equity` counts all that the portfolio
    holds, each at its latest close up to the day.
    """

    day: date
    symbols: tuple[str, ...]
    held: FloatArray
    closes: FloatArray
    steps: FloatArray
    cash: float
    equity: float


def read_book(portfolio_id: str, symbols: Sequence[str], matrix: PriceMatrix, row: int) -> Book:
    """As booked now, at the closes of the matrix' row. Raises MissingPriceError where something held never had one."""
    positions = Position.objects.filter(portfolio=portfolio_id).values_list("instrument_id", "quantity")
    held = {symbol: float(quantity) for symbol, quantity in positions}
    everything = [*symbols, *(symbol for symbol in held if symbol not in set(symbols))]
    known = _latest_closes(matrix, everything, row)
    quantities = np.array([held.get(symbol, 0.0) for symbol in everything])
    cash = float(Portfolio.objects.values_list("cash", flat=True).get(pk=portfolio_id))
    _refuse_worthless(everything, quantities, known, matrix.dates[row].item())
    values = np.where(quantities == 0, 0.0, quantities * known)
    count = len(symbols)
    return Book(
        matrix.dates[row].item(),
        tuple(symbols),
        quantities[:count],
        matrix.closes(symbols, np.array([row]))[0],
        quantity_steps(symbols),
        cash,
        cash + float(values.sum()),
    )


def _refuse_worthless(symbols: Sequence[str], held: FloatArray, closes: FloatArray, day: date) -> None:
    unknown = [symbol for symbol, place in zip(symbols, np.isnan(closes) & (held != 0), strict=True) if place]
    if unknown:
        raise MissingPriceError(
            f"{', '.join(unknown)} is held and has no price up to {day}.", f"Import prices of {', '.join(unknown)}."
        )


def _latest_closes(matrix: PriceMatrix, symbols: Sequence[str], row: int) -> FloatArray:
    """(symbols,): each symbol's close of the row, or its last one before; NaN where there is none."""
    closes = matrix.closes(symbols, np.arange(row + 1))
    known = np.isfinite(closes)
    last = row - known[::-1].argmax(axis=0)
    return np.where(known.any(axis=0), closes[last, np.arange(len(symbols))], np.nan)


def quantity_steps(symbols: Sequence[str]) -> FloatArray:
    steps = dict(Instrument.objects.filter(pk__in=list(symbols)).values_list("symbol", "quantity_step"))
    return np.array([float(steps.get(symbol) or 0) for symbol in symbols])

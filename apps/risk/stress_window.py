"""The past behind a stress test: the window's returns of the book and of its benchmark."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.portfolios.kernels.valuation import simple_returns
from apps.portfolios.matrix import FloatArray, PriceMatrix
from apps.risk.inputs import priced_book_of
from apps.risk.kernels.stress import ols_betas
from apps.risk.methods import PricedBook


@dataclass(frozen=True, slots=True)
class StressWindow:
    """`benchmark` (days,) and `betas` (symbols,) are there or not together; `reason` then says why."""

    book: PricedBook
    benchmark: FloatArray | None
    betas: FloatArray | None
    reason: str = ""


def window_of(inputs: dict[str, Any], matrix: PriceMatrix) -> StressWindow:
    """Raises what priced_book_of raises."""
    book, benchmark = priced_book_of(inputs, matrix), inputs["benchmark"]
    if benchmark is None:
        return StressWindow(book, None, None, f"{inputs['portfolio_id']} has no benchmark")
    returns = _returns_of(benchmark, book, matrix)
    missing = int(np.isnan(returns).sum())
    if missing:
        reason = f"the benchmark {benchmark} lacks {missing} of the window's {len(returns)} returns"
        return StressWindow(book, None, None, reason)
    betas = ols_betas(book.returns, returns)
    if betas is None:
        return StressWindow(book, None, None, f"the benchmark {benchmark} does not move in the window")
    return StressWindow(book, returns, betas)


def _returns_of(benchmark: str, book: PricedBook, matrix: PriceMatrix) -> FloatArray:
    """Its returns that end on the window's days, each from the book's trading day before; NaN where there is none."""
    days = matrix.trading_days(book.symbols, benchmark)
    returns = simple_returns(matrix.closes([benchmark], days))[:, 0]
    found: FloatArray = returns[np.searchsorted(matrix.dates[days[1:]], book.dates)]
    return found

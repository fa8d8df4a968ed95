"""Weights become orders: by the rules of the backtest, on the book as it is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
from django.conf import settings

from apps.portfolios.models import LARGEST, Instrument
from apps.strategies.book import Book
from apps.strategies.kernels.rebalancing import FloatArray, order_quantities
from apps.strategies.models import Deployment, DeploymentOrder, Environment
from apps.strategies.sandbox import BadWeightsError


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """`quantity` in units, negative to sell; `close` is the one that it was sized by."""

    symbol: str
    quantity: Decimal
    close: float


def valued_on(deployment: Deployment, day: date) -> date | None:
    """The day whose closes a check of orders sees: of paper the recorded one, however long ago; None, the newest of now
    and refused where they are stale, for real money."""
    return day if deployment.environment == Environment.PAPER else None


def universe_of(deployment: Deployment, weights: Iterable[str]) -> list[str]:
    """What it may hold, and what deployments before it on this portfolio have left: that is sold."""
    filled = DeploymentOrder.objects.filter(
        deployment__portfolio=deployment.portfolio_id,
        deployment__environment=deployment.environment,
        status=DeploymentOrder.Status.FILLED,
    )
    left = filled.order_by().values_list("instrument_id", flat=True).distinct()
    return sorted({*deployment.symbols, *weights, *left})


def planned_orders(book: Book, weights: Mapping[str, float]) -> Iterator[PlannedOrder]:
    """Sales first: they pay for the purchases; what is too small is left out. Raises BadWeightsError for what cannot be
    sized."""
    quantities = _quantities(book, np.array([weights.get(symbol, 0.0) for symbol in book.symbols]))
    for place in np.argsort(quantities > 0, kind="stable"):
        if quantities[place]:
            quantity = round(Decimal(repr(float(quantities[place]))), 8)
            _refuse_too_large(book, book.symbols[place], quantity)
            yield PlannedOrder(book.symbols[place], quantity, float(book.closes[place]))


def min_quantities(symbols: Sequence[str]) -> FloatArray:
    """(symbols,): the least that an order of the symbol may be of, 0 where there is none."""
    least = dict(Instrument.objects.filter(pk__in=list(symbols)).values_list("symbol", "min_quantity"))
    return np.array([float(least.get(symbol) or 0) for symbol in symbols])


def _refuse_too_large(book: Book, symbol: str, quantity: Decimal) -> None:
    if abs(quantity) > LARGEST:
        raise BadWeightsError(f"On {book.day} an order of {quantity:.6g} {symbol} would be made; at most 1e15 is kept.")


def _quantities(book: Book, weights: FloatArray) -> FloatArray:
    try:
        return order_quantities(
            weights,
            book.equity,
            book.closes,
            book.held,
            book.steps,
            settings.STRATEGY_MIN_NOTIONAL,
            min_quantities=min_quantities(book.symbols),
            symbols=book.symbols,
        )
    except ValueError as error:
        raise BadWeightsError(f"On {book.day} no orders can be made of the weights: {error}.") from error

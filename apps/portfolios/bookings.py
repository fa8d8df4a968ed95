"""A portfolio's bookings as arrays, as the ledger stood at a version."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from apps.portfolios.models import CashFlow, Trade

FloatArray = npt.NDArray[np.float64]
DateArray = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Bookings:
    """The bookings as arrays, in the order of the book; columns are indices into `symbols`."""

    symbols: tuple[str, ...]
    held: tuple[str, ...]
    column: npt.NDArray[np.intp]
    quantity: FloatArray
    price: FloatArray
    traded_on: DateArray
    flow: FloatArray
    flowed_on: DateArray


def read_bookings(portfolio_id: str, ledger_version: int) -> Bookings:
    known: dict[str, Any] = {"portfolio_id": portfolio_id, "ledger_version__lte": ledger_version}
    trades = list(
        Trade.objects.filter(**known)
        .order_by("traded_at", "id")
        .values_list("instrument_id", "quantity", "price", "traded_at")
    )
    flows = list(CashFlow.objects.filter(**known).order_by("date", "id").values_list("amount", "date"))
    symbols = tuple(sorted({trade[0] for trade in trades}))
    columns = {symbol: column for column, symbol in enumerate(symbols)}
    return Bookings(
        symbols=symbols,
        held=_held(trades),
        column=np.array([columns[trade[0]] for trade in trades], np.intp),
        quantity=np.array([float(trade[1]) for trade in trades]),
        price=np.array([float(trade[2]) for trade in trades]),
        traded_on=_days([trade[3].astimezone(UTC).date() for trade in trades]),
        flow=np.array([float(amount) for amount, _ in flows]),
        flowed_on=_days([day for _, day in flows]),
    )


def _held(trades: Sequence[Any]) -> tuple[str, ...]:
    quantities: dict[str, Decimal] = {}
    for symbol, quantity, *_ in trades:
        quantities[symbol] = quantities.get(symbol, Decimal(0)) + quantity
    return tuple(sorted(symbol for symbol, quantity in quantities.items() if quantity))


def _days(days: list[date]) -> DateArray:
    return np.array(days, "datetime64[D]")

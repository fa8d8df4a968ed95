"""Realized and unrealized P&L of a period, by FIFO and by average cost, in the book's currency."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from decimal import Decimal, localcontext
from typing import Any

import numpy as np

from apps.analytics.kernels.lots import EXACT, AverageCost, FifoLots
from apps.analytics.period import Period
from apps.portfolios.matrix import FloatArray
from apps.portfolios.models import Trade

METHODS = {"fifo": FifoLots, "average": AverageCost}

_Trades = Sequence[tuple[np.datetime64, Decimal, Decimal]]


@dataclass(slots=True)
class _Sums:
    realized: Decimal = field(default_factory=Decimal)
    unrealized: Decimal = field(default_factory=Decimal)
    before: Decimal = field(default_factory=Decimal)


def pnl_of(period: Period, portfolio_id: str, ledger_version: int) -> dict[str, Any]:
    """`total` is what the value gained beside money paid in and out; realized + unrealized_change are all of it.

    `unrealized_*` is at the end, against what the positions cost when they were bought; `unrealized_change_*` since the
    period's start. `residual_*` is the total less both: rounding of the values' floats.
    """
    trades = _trades_by_symbol(portfolio_id, ledger_version)
    total = float(period.values[-1] - period.values[0] - period.net_flows[1:].sum())
    shown: dict[str, Any] = {"total": total}
    with localcontext(EXACT):
        for name in METHODS:
            shown |= {f"{key}_{name}": value for key, value in _shown(_sums(name, period, trades), total).items()}
    return shown


def _shown(sums: _Sums, total: float) -> dict[str, float]:
    change = sums.unrealized - sums.before
    return {
        "realized": float(sums.realized),
        "unrealized": float(sums.unrealized),
        "unrealized_change": float(change),
        "residual": total - float(sums.realized + change),
    }


def _sums(method: str, period: Period, trades: Mapping[str, _Trades]) -> _Sums:
    sums = _Sums()
    for place, symbol in enumerate(period.symbols):
        _add_symbol(sums, method, trades[symbol], period, period.prices[:, place])
    return sums


def _add_symbol(sums: _Sums, method: str, trades: _Trades, period: Period, closes: FloatArray) -> None:
    book: FifoLots | AverageCost = METHODS[method]()
    start, end = period.dates[0], period.dates[-1]
    _book_all(book, (trade for trade in trades if trade[0] <= start))
    at_start = book.gains(_price(closes[0]))
    _book_all(book, (trade for trade in trades if start < trade[0] <= end))
    at_end = book.gains(_price(closes[-1]))
    sums.before += at_start.unrealized
    sums.unrealized += at_end.unrealized
    sums.realized += at_end.realized - at_start.realized


def _book_all(book: FifoLots | AverageCost, trades: Iterable[tuple[np.datetime64, Decimal, Decimal]]) -> None:
    for _, quantity, price in trades:
        book.trade(quantity, price)


def _price(close: float) -> Decimal | None:
    return None if np.isnan(close) else Decimal(repr(float(close)))


def _trades_by_symbol(
    portfolio_id: str, ledger_version: int
) -> dict[str, list[tuple[np.datetime64, Decimal, Decimal]]]:
    """Day, quantity and price, in the order of the book. A trade between two trading days counts from the later one,
    as in the history: no close lies between them."""
    rows = Trade.objects.filter(portfolio_id=portfolio_id, ledger_version__lte=ledger_version)
    found: dict[str, list[tuple[np.datetime64, Decimal, Decimal]]] = {}
    for symbol, quantity, price, traded_at in rows.order_by("traded_at", "id").values_list(
        "instrument_id", "quantity", "price", "traded_at"
    ):
        day = np.datetime64(traded_at.astimezone(UTC).date())
        found.setdefault(symbol, []).append((day, quantity, price))
    return found

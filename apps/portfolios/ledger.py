"""Booking trades, one or many. Position, cash and ledger version move in the same transaction.

Whoever books holds the portfolio's row first, so bookings of one portfolio come one after the other.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.portfolios.booking import (
    announce,
    lock_portfolio,
    move_cash,
    raise_all,
    refuse_closed,
    refuse_too_large,
)
from apps.portfolios.cash_flows import book_cash_flow
from apps.portfolios.copying import copy_rows
from apps.portfolios.errors import ExternalIdTakenError
from apps.portfolios.faults import Faults
from apps.portfolios.kernels.costing import apply_trade
from apps.portfolios.models import Portfolio, Position, Trade
from apps.portfolios.opening import change_portfolio, close_portfolio, open_portfolio
from apps.portfolios.reservations import settle_reservation
from apps.portfolios.trade_rows import TradeRow, TradeRules
from nautilus.api.errors import DomainError

__all__ = [
    "Booking",
    "TradeRow",
    "book_cash_flow",
    "book_trade",
    "book_trades",
    "change_portfolio",
    "close_portfolio",
    "open_portfolio",
]

_TRADE_COLUMNS = (
    "portfolio_id", "symbol", "external_id", "quantity", "price", "traded_at", "ledger_version", "booked_at",
    "booked_by_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Booking:
    """What a file of trades came to; `already_booked` were there before with the same content."""

    booked: int
    already_booked: int
    ledger_version: int


@transaction.atomic
def book_trade(
    portfolio_id: str,
    symbol: str,
    quantity: Decimal,
    price: Decimal,
    traded_at: datetime,
    external_id: str | None = None,
    reservation_id: UUID | None = None,
    user: Any = None,
) -> Trade:
    """Books one trade. With an `external_id` a repeat gives the trade that was booked first; without, it books again.

    With a `reservation_id` it settles that reservation in the same step. Raises DomainErrors with every fault,
    PortfolioClosedError, ExternalIdTakenError, UnknownReservationError, ReservationEndedError,
    ReservationMismatchError.
    """
    row = TradeRow(symbol, quantity, price, traded_at, external_id)
    portfolio = lock_portfolio(portfolio_id)
    booked = _booked_before(portfolio, [row]).get(external_id or "")
    if booked is not None:
        _refuse_other_content(booked, row)
        return booked
    refuse_closed(portfolio)
    raise_all(list(TradeRules(portfolio, [row], timezone.now()).faults_of(row)))
    reservation = settle_reservation(portfolio, reservation_id, row) if reservation_id else None
    _apply(portfolio, [row])
    trade = Trade.objects.create(
        portfolio=portfolio,
        instrument_id=symbol,
        external_id=external_id,
        quantity=quantity,
        price=price,
        traded_at=traded_at,
        ledger_version=portfolio.ledger_version,
        reservation=reservation,
        booked_by=user,
    )
    announce(portfolio, "trade.booked", trade=_trade_as_told(trade))
    return trade


@transaction.atomic
def book_trades(portfolio_id: str, rows: Sequence[TradeRow], user: Any = None, faults: Faults | None = None) -> Booking:
    """Books all of the rows or none, as one step of the ledger; those already booked are counted and left alone.

    Faults are told by row, counted from `faults.first_row`. Average costs follow the order of `traded_at`.
    """
    portfolio = lock_portfolio(portfolio_id)
    faults = faults or Faults(first_row=1)
    booked = _booked_before(portfolio, rows)
    new = [row for row in rows if (row.external_id or "") not in booked]
    if new:
        refuse_closed(portfolio)
    _check_rows(portfolio, rows, booked, faults)
    if new:
        new.sort(key=lambda row: row.traded_at)
        _apply(portfolio, new)
        _copy_trades(portfolio, new, user)
        announce(portfolio, "trades.imported", booked=len(new))
    return Booking(len(new), len(rows) - len(new), portfolio.ledger_version)


def _booked_before(portfolio: Portfolio, rows: Iterable[TradeRow]) -> dict[str, Trade]:
    named = [row.external_id for row in rows if row.external_id and "\0" not in row.external_id]
    if not named:
        return {}
    found = Trade.objects.filter(portfolio=portfolio, external_id__in=named)
    return {trade.external_id or "": trade for trade in found}


def _check_rows(portfolio: Portfolio, rows: Sequence[TradeRow], booked: dict[str, Trade], faults: Faults) -> None:
    rules = TradeRules(portfolio, rows, timezone.now())
    for index, row in enumerate(rows):
        for error in _faults_of(row, booked.get(row.external_id or ""), rules):
            faults.add_error(index, error)
    _check_doubles(rows, faults)
    faults.raise_any()


def _faults_of(row: TradeRow, booked: Trade | None, rules: TradeRules) -> Iterator[DomainError]:
    if booked is None:
        yield from rules.faults_of(row)
    elif _content(booked) != row.content:
        yield _taken(booked)


def _check_doubles(rows: Sequence[TradeRow], faults: Faults) -> None:
    first: dict[str, int] = {}
    for index, row in enumerate(rows):
        if row.external_id and first.setdefault(row.external_id, index) != index:
            original = faults.first_row + first[row.external_id]
            detail = f"'{row.external_id}' stands in row {original} already."
            faults.add(index, "external_id", "duplicate_row", detail, "Give each trade its own external_id.")


def _content(trade: Trade) -> tuple[Any, ...]:
    return (trade.instrument_id, trade.quantity, trade.price, trade.traded_at)


def _refuse_other_content(booked: Trade, row: TradeRow) -> None:
    if _content(booked) != row.content:
        raise _taken(booked)


def _taken(trade: Trade) -> ExternalIdTakenError:
    return ExternalIdTakenError(
        f"The external_id '{trade.external_id}' is that of another trade: {trade.quantity.normalize():f}"
        f" {trade.instrument_id} at {trade.price.normalize():f}, {trade.traded_at:%Y-%m-%dT%H:%M:%SZ}.",
        "Send the same content to repeat a booking, a new external_id for a new one.",
        "external_id",
    )


def _apply(portfolio: Portfolio, rows: Sequence[TradeRow]) -> None:
    """Positions, cash and version after the trades, in their order."""
    symbols = {row.symbol for row in rows}
    held = {position.instrument_id: position for position in portfolio.positions.filter(instrument__in=symbols)}
    states = {symbol: (held[symbol].quantity, held[symbol].average_cost) for symbol in held}
    for row in rows:
        state = states.get(row.symbol, (Decimal(0), Decimal(0)))
        states[row.symbol] = apply_trade(*state, row.quantity, row.price)
    _write_positions(portfolio, states)
    move_cash(portfolio, -sum((row.cost for row in rows), Decimal(0)))


def _write_positions(portfolio: Portfolio, states: dict[str, tuple[Decimal, Decimal]]) -> None:
    for symbol, (quantity, _) in states.items():
        refuse_too_large(quantity, f"The position in {symbol}", "quantity")
    kept = [
        Position(portfolio=portfolio, instrument_id=symbol, quantity=quantity, average_cost=cost)
        for symbol, (quantity, cost) in sorted(states.items())
        if quantity
    ]
    Position.objects.bulk_create(
        kept,
        update_conflicts=True,
        unique_fields=["portfolio", "instrument"],
        update_fields=["quantity", "average_cost", "updated_at"],
    )
    gone = [symbol for symbol, (quantity, _) in states.items() if not quantity]
    if gone:
        portfolio.positions.filter(instrument__in=gone).delete()


def _copy_trades(portfolio: Portfolio, rows: Sequence[TradeRow], user: Any) -> None:
    now, booked_by = timezone.now(), user.pk if user else None
    version = portfolio.ledger_version
    values = (
        (portfolio.id, row.symbol, row.external_id, row.quantity, row.price, row.traded_at, version, now, booked_by)
        for row in rows
    )
    copy_rows("portfolios_trade", _TRADE_COLUMNS, values)


def _trade_as_told(trade: Trade) -> dict[str, Any]:
    return {
        "id": trade.id,
        "symbol": trade.instrument_id,
        "quantity": float(trade.quantity),
        "price": float(trade.price),
        "traded_at": trade.traded_at,
        "external_id": trade.external_id,
    }

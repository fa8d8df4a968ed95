"""Money paid into a portfolio or out of it: no return, whatever it does to the value."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.portfolios.booking import announce, lock_portfolio, move_cash, raise_all, refuse_closed
from apps.portfolios.errors import ExternalIdTakenError, FutureDateError, ZeroError
from apps.portfolios.models import CashFlow, Portfolio
from apps.portfolios.trade_rows import faults_of_amount, faults_of_date, faults_of_external_id
from nautilus.api.errors import DomainError


@transaction.atomic
def book_cash_flow(
    portfolio_id: str, amount: Decimal, day: date, external_id: str | None = None, user: Any = None
) -> CashFlow:
    """Books money paid in (positive) or out at a day's close; repeat-safe by `external_id`, as trades are."""
    portfolio = lock_portfolio(portfolio_id)
    booked = portfolio.cash_flows.filter(external_id=external_id).first() if external_id else None
    if booked is not None:
        return _same_flow(booked, amount, day)
    refuse_closed(portfolio)
    raise_all(list(_faults_of_flow(portfolio, amount, day, external_id)))
    move_cash(portfolio, amount)
    flow = CashFlow.objects.create(
        portfolio=portfolio,
        external_id=external_id,
        amount=amount,
        date=day,
        ledger_version=portfolio.ledger_version,
        booked_by=user,
    )
    announce(portfolio, "cash_flow.booked", amount=float(amount), date=day.isoformat())
    return flow


def _same_flow(booked: CashFlow, amount: Decimal, day: date) -> CashFlow:
    if (booked.amount, booked.date) != (amount, day):
        raise ExternalIdTakenError(
            f"The external_id '{booked.external_id}' is that of another cash flow: {booked.amount.normalize():f} on"
            f" {booked.date}.",
            "Send the same content to repeat a booking, a new external_id for a new one.",
            "external_id",
        )
    return booked


def _faults_of_flow(portfolio: Portfolio, amount: Decimal, day: date, external_id: str | None) -> Iterator[DomainError]:
    yield from faults_of_amount(amount, "amount")
    if amount == 0:
        yield ZeroError("An amount of 0 moves nothing.", "Expected a number other than zero.", "amount")
    yield from faults_of_date(portfolio, day, "date")
    if day > timezone.now().date():
        yield FutureDateError(f"{day} is in the future.", "Book a cash flow once it is done.", "date")
    if external_id is not None:
        yield from faults_of_external_id(external_id)

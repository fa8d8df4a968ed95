"""Money paid in and out: part of the cash, no part of the return."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from apps.portfolios.errors import (
    BeforeInceptionError,
    ExternalIdTakenError,
    FutureDateError,
    PortfolioClosedError,
    ZeroError,
)
from apps.portfolios.ledger import book_cash_flow, close_portfolio
from apps.portfolios.models import CashFlow, Portfolio
from apps.portfolios.tests.factories import INCEPTION, book_state, make_portfolio

pytestmark = pytest.mark.django_db


@pytest.fixture
def portfolio() -> Portfolio:
    return make_portfolio(initial_cash=1_000)


def test_cash_flow_moves_cash_and_ledger_version(portfolio: Portfolio) -> None:
    book_cash_flow(portfolio.id, Decimal("-250.50"), INCEPTION)
    portfolio.refresh_from_db()
    assert (portfolio.cash, portfolio.ledger_version) == (Decimal("749.50"), 1)


def test_same_external_id_is_booked_once(portfolio: Portfolio) -> None:
    first = book_cash_flow(portfolio.id, Decimal(5), INCEPTION, external_id="C1")
    assert book_cash_flow(portfolio.id, Decimal(5), INCEPTION, external_id="C1").pk == first.pk
    assert CashFlow.objects.count() == 1


def test_same_external_id_with_another_amount_is_a_conflict(portfolio: Portfolio) -> None:
    book_cash_flow(portfolio.id, Decimal(5), INCEPTION, external_id="C1")
    with pytest.raises(ExternalIdTakenError):
        book_cash_flow(portfolio.id, Decimal(6), INCEPTION, external_id="C1")


@pytest.mark.parametrize(
    ("amount", "days", "error"),
    [
        (Decimal(0), 0, ZeroError),
        (Decimal(1), -1, BeforeInceptionError),
        (Decimal(1), (timezone.now().date() - INCEPTION).days + 2, FutureDateError),
    ],
)
def test_bad_cash_flow_is_refused_and_leaves_everything_as_it_was(
    portfolio: Portfolio, amount: Decimal, days: int, error: type[Exception]
) -> None:
    before = book_state()
    with pytest.raises(error):
        book_cash_flow(portfolio.id, amount, INCEPTION + timedelta(days=days))
    assert book_state() == before


def test_closed_portfolio_takes_no_cash_flow(portfolio: Portfolio) -> None:
    close_portfolio(portfolio.id)
    with pytest.raises(PortfolioClosedError):
        book_cash_flow(portfolio.id, Decimal(1), INCEPTION)

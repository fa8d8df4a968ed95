"""A trade moves position, cash and ledger version in one step."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import Error, connection, transaction
from django.utils import timezone

from apps.portfolios.errors import (
    BeforeInceptionError,
    CurrencyMismatchError,
    ExternalIdTakenError,
    FutureDateError,
    InactiveInstrumentError,
    NotANumberError,
    NoTimeZoneError,
    NotPositiveError,
    PortfolioClosedError,
    PortfolioNotFoundError,
    TooLargeError,
    TooManyPlacesError,
    UnknownSymbolError,
    ZeroError,
)
from apps.portfolios.ledger import book_trade, close_portfolio
from apps.portfolios.models import Instrument, Portfolio, Trade
from apps.portfolios.tests.factories import INCEPTION, book_state, make_portfolio, make_prices, make_trade, moment
from nautilus.api.errors import DomainError, DomainErrors

pytestmark = pytest.mark.django_db


@pytest.fixture
def portfolio() -> Portfolio:
    make_prices()
    return make_portfolio(initial_cash=1_000)


def test_buying_takes_cash_and_makes_a_position(portfolio: Portfolio) -> None:
    trade = make_trade(portfolio, quantity=10, price="10.5")
    portfolio.refresh_from_db()
    position = portfolio.positions.get()
    assert (portfolio.cash, portfolio.ledger_version, trade.ledger_version) == (Decimal("895"), 1, 1)
    assert (position.quantity, position.average_cost) == (Decimal(10), Decimal("10.5"))


def test_selling_everything_leaves_no_position(portfolio: Portfolio) -> None:
    make_trade(portfolio, quantity=10, price=10)
    make_trade(portfolio, quantity=-10, price=12)
    portfolio.refresh_from_db()
    assert portfolio.cash == 1_020
    assert not portfolio.positions.exists()


def test_cash_is_rounded_to_eight_places_half_to_even(portfolio: Portfolio) -> None:
    make_trade(portfolio, quantity="0.00000003", price="0.5")  # costs 0.000000015
    portfolio.refresh_from_db()
    assert portfolio.cash == Decimal("999.99999998")


def test_same_external_id_and_content_gives_the_trade_that_was_booked(portfolio: Portfolio) -> None:
    first = make_trade(portfolio, external_id="T1")
    again = make_trade(portfolio, external_id="T1")
    portfolio.refresh_from_db()
    assert (again.pk, portfolio.ledger_version, portfolio.cash) == (first.pk, 1, 900)


def test_repeat_is_answered_even_after_the_portfolio_was_closed(portfolio: Portfolio) -> None:
    first = make_trade(portfolio, external_id="T1")
    close_portfolio(portfolio.id)
    assert make_trade(portfolio, external_id="T1").pk == first.pk


def test_same_external_id_in_another_portfolio_is_another_trade(portfolio: Portfolio) -> None:
    make_trade(portfolio, external_id="T1")
    make_trade(make_portfolio(), quantity=3, external_id="T1")
    assert Trade.objects.count() == 2


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"symbol": "ZZZ"}, UnknownSymbolError),
        ({"symbol": "A\0"}, UnknownSymbolError),
        ({"symbol": "OLD"}, InactiveInstrumentError),
        ({"symbol": "EUR1"}, CurrencyMismatchError),
        ({"quantity": Decimal(0)}, ZeroError),
        ({"quantity": Decimal("NaN")}, NotANumberError),
        ({"quantity": Decimal("1e16")}, TooLargeError),
        ({"quantity": Decimal("1e-9")}, TooManyPlacesError),
        ({"price": Decimal(0)}, NotPositiveError),
        ({"price": Decimal(-1)}, NotPositiveError),
        ({"price": Decimal("NaN")}, NotANumberError),
        ({"price": Decimal("Infinity")}, NotANumberError),
        ({"traded_at": moment(INCEPTION - timedelta(days=1), hour=23)}, BeforeInceptionError),
        ({"traded_at": timezone.now() + timedelta(hours=1)}, FutureDateError),
        ({"traded_at": moment().replace(tzinfo=None)}, NoTimeZoneError),
        ({"quantity": Decimal("1e15"), "price": Decimal("1e15")}, TooLargeError),
    ],
)
def test_bad_trade_is_refused_and_leaves_everything_as_it_was(
    portfolio: Portfolio, change: dict, error: type[DomainError]
) -> None:
    Instrument.objects.create(symbol="OLD", active=False)
    Instrument.objects.create(symbol="EUR1", currency="EUR")
    before = book_state()
    good = {"symbol": "AAA", "quantity": Decimal(1), "price": Decimal(10), "traded_at": moment()}
    with pytest.raises(error) as refusal:
        book_trade(portfolio.id, **good | change)
    assert refusal.value.detail
    assert refusal.value.remedy
    assert book_state() == before


def test_every_fault_of_a_trade_is_told_at_once(portfolio: Portfolio) -> None:
    with pytest.raises(DomainErrors) as refusal:
        book_trade(portfolio.id, "ZZZ", Decimal(0), Decimal(-1), moment())
    assert {error.attr for error in refusal.value.errors} == {"symbol", "quantity", "price"}


def test_clock_that_is_half_a_minute_ahead_is_forgiven(portfolio: Portfolio) -> None:
    traded_at = timezone.now() + timedelta(seconds=30)
    assert book_trade(portfolio.id, "AAA", Decimal(1), Decimal(10), traded_at).pk


def test_external_id_with_other_content_is_a_conflict(portfolio: Portfolio) -> None:
    make_trade(portfolio, quantity=10, external_id="T1")
    before = book_state()
    with pytest.raises(ExternalIdTakenError, match="10 AAA at 10") as refusal:
        make_trade(portfolio, quantity=11, external_id="T1")
    assert refusal.value.status == 409
    assert book_state() == before


def test_closed_portfolio_takes_no_trade(portfolio: Portfolio) -> None:
    close_portfolio(portfolio.id)
    before = book_state()
    with pytest.raises(PortfolioClosedError):
        make_trade(portfolio)
    assert book_state() == before


def test_unknown_portfolio_is_not_found() -> None:
    with pytest.raises(PortfolioNotFoundError):
        book_trade("NOBODY", "AAA", Decimal(1), Decimal(1), moment())


@pytest.mark.parametrize("statement", ["UPDATE portfolios_trade SET price = 1", "DELETE FROM portfolios_trade"])
def test_booked_trade_cannot_be_changed_even_by_sql(portfolio: Portfolio, statement: str) -> None:
    make_trade(portfolio)
    with pytest.raises(Error, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_booking_is_announced_on_the_portfolios_topic(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr("apps.portfolios.booking.publish_after_commit", lambda topic, data: told.append((topic, data)))
    make_trade(portfolio, quantity=10, price=10)
    ((topic, data),) = told
    assert topic == f"portfolio:updates:{portfolio.id}"
    assert (data["event"], data["cash"], data["ledger_version"]) == ("trade.booked", 900.0, 1)

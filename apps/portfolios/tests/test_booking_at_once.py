"""Bookings from many threads end in the same book as one after the other."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from apps.portfolios.ledger import book_cash_flow
from apps.portfolios.models import Portfolio, Trade
from apps.portfolios.price_import import import_prices
from apps.portfolios.tests.factories import INCEPTION, make_portfolio, make_prices, make_trade

THREADS = 8


def at_once(function: Callable[[int], Any]) -> list[Any]:
    def closing(number: int) -> Any:
        try:
            return function(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(closing, range(THREADS)))


@pytest.mark.django_db(transaction=True)
def test_eight_threads_booking_trades_keep_position_cash_and_version() -> None:
    make_prices()
    portfolio = make_portfolio(initial_cash=10_000)

    def book_ten(number: int) -> None:
        for _ in range(10):
            make_trade(portfolio, quantity=number + 1, price=2)

    at_once(book_ten)
    portfolio.refresh_from_db()
    assert portfolio.positions.get().quantity == 360  # 10 x (1 + … + 8)
    assert portfolio.cash == 10_000 - 720
    assert portfolio.ledger_version == 80
    assert sorted(Trade.objects.values_list("ledger_version", flat=True)) == list(range(1, 81))


@pytest.mark.django_db(transaction=True)
def test_one_external_id_from_eight_threads_is_booked_once() -> None:
    make_prices()
    portfolio = make_portfolio()
    booked = at_once(lambda _: make_trade(portfolio, external_id="T1").pk)
    portfolio.refresh_from_db()
    assert len(set(booked)) == 1
    assert (portfolio.ledger_version, portfolio.cash) == (1, 900)


@pytest.mark.django_db(transaction=True)
def test_trades_and_cash_flows_together_keep_the_cash() -> None:
    make_prices()
    portfolio = make_portfolio(initial_cash=0)

    def book(number: int) -> None:
        if number % 2:
            make_trade(portfolio, quantity=1, price=10)
        else:
            book_cash_flow(portfolio.id, Decimal(100), INCEPTION)

    at_once(book)
    portfolio.refresh_from_db()
    assert (portfolio.cash, portfolio.ledger_version) == (360, 8)


@pytest.mark.django_db(transaction=True)
def test_portfolios_opened_at_once_get_ids_of_their_own() -> None:
    ids = at_once(lambda _: make_portfolio_without_id().id)
    assert sorted(ids) == [f"PORTFOLIO_{number:03d}" for number in range(1, 9)]


def make_portfolio_without_id() -> Portfolio:
    from apps.portfolios.ledger import open_portfolio

    return open_portfolio(name="A book", initial_cash=Decimal(1), inception_date=INCEPTION)


@pytest.mark.django_db(transaction=True)
def test_one_price_file_imported_eight_times_at_once_makes_one_version() -> None:
    content = b"date,AAA,BBB\n2022-01-03,1,2\n2022-01-04,3,4\n"
    done = at_once(lambda _: import_prices(content, "test"))
    assert len({each.price_version for each in done}) == 1
    assert sorted(each.inserted for each in done) == [0] * 7 + [4]

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.analytics.kernels.lots import AverageCost, FifoLots

D = Decimal


def booked(method, *trades):
    book = method()
    for quantity, price in trades:
        book.trade(D(quantity), D(price))
    return book


def test_first_in_is_first_out():
    """100 at 10, 100 at 12, 150 sold at 15: (15 - 10) 100 + (15 - 12) 50 realized, 50 at 12 left."""
    gains = booked(FifoLots, (100, 10), (100, 12), (-150, 15)).gains(D(16))
    assert (gains.realized, gains.unrealized) == (650, 200)


def test_average_cost_of_the_same_trades():
    """150 sold against 11 each, 50 at 11 left."""
    gains = booked(AverageCost, (100, 10), (100, 12), (-150, 15)).gains(D(16))
    assert (gains.realized, gains.unrealized) == (600, 250)


@pytest.mark.parametrize("method", [FifoLots, AverageCost])
def test_short_gains_where_the_price_falls(method):
    gains = booked(method, (-100, 50), (40, 45)).gains(D(48))
    assert (gains.realized, gains.unrealized) == (200, 120)


@pytest.mark.parametrize("method", [FifoLots, AverageCost])
def test_sale_of_more_than_is_held_closes_it_and_opens_a_short_at_its_price(method):
    book = booked(method, (100, 10), (-150, 12))
    assert book.quantity == -50
    gains = book.gains(D(11))
    assert (gains.realized, gains.unrealized) == (200, 50)


@pytest.mark.parametrize("method", [FifoLots, AverageCost])
def test_position_that_was_closed_begins_anew(method):
    gains = booked(method, (100, 10), (-100, 12), (100, 20)).gains(D(21))
    assert (gains.realized, gains.unrealized) == (200, 100)


@pytest.mark.parametrize("method", [FifoLots, AverageCost])
def test_closed_position_needs_no_price_and_an_open_one_does(method):
    assert booked(method, (100, 10), (-100, 12)).gains(None).total == 200
    with pytest.raises(ValueError, match="no price for 100 units"):
        booked(method, (100, 10)).gains(None)


amounts = st.integers(-(10**14), 10**14).filter(bool).map(lambda number: D(number).scaleb(-8))
prices = st.integers(1, 10**14).map(lambda number: D(number).scaleb(-8))


@given(st.lists(st.tuples(amounts, prices), min_size=1, max_size=30), prices)
def test_realized_and_unrealized_are_all_that_was_gained_to_the_last_digit(trades, price):
    with localcontext(prec=60):
        quantity = sum(each[0] for each in trades)
        total = quantity * price - sum(each[0] * each[1] for each in trades)
    assert booked(FifoLots, *trades).quantity == quantity
    assert booked(FifoLots, *trades).gains(price).total == total
    average = booked(AverageCost, *trades)
    assert average.quantity == quantity
    with localcontext(prec=60):
        assert abs(average.gains(price).total - total) <= D("1e-30")


@given(st.lists(st.tuples(amounts, prices), min_size=1, max_size=30))
def test_book_that_is_closed_realizes_the_same_by_both_methods(trades):
    with localcontext(prec=60):
        rest = -sum(each[0] for each in trades)
    closed = [*trades, (rest, D(7))] if rest else trades
    fifo, average = (booked(method, *closed).gains(None).realized for method in (FifoLots, AverageCost))
    with localcontext(prec=60):
        assert abs(fifo - average) <= D("1e-30")


def test_threads_own_decimal_context_changes_nothing():
    trades = [("0.00000001", "123456789.12345678"), ("123456789.12345678", "0.00000001"), ("-3", "7")]
    with localcontext(prec=5):
        coarse = [booked(method, *trades).gains(D("1.1")).total for method in (FifoLots, AverageCost)]
    assert coarse == [booked(method, *trades).gains(D("1.1")).total for method in (FifoLots, AverageCost)]

"""Average cost of a position, trade by trade."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.portfolios.kernels.costing import apply_trade

quantities = st.decimals(-100_000, 100_000, places=8).filter(bool)
prices = st.decimals("0.01", 10_000, places=8)


def trade(held: str, cost: str, quantity: str, price: str) -> tuple[Decimal, Decimal]:
    return apply_trade(Decimal(held), Decimal(cost), Decimal(quantity), Decimal(price))


def test_first_trade_costs_its_price():
    assert trade("0", "0", "100", "24.532") == (Decimal(100), Decimal("24.532"))


def test_cost_of_an_empty_position_is_not_looked_at():
    assert trade("0", "999", "100", "24.532") == (Decimal(100), Decimal("24.532"))


def test_adding_to_a_long_position_weighs_by_quantity():
    # (100 x 10 + 300 x 14) / 400 = 13
    assert trade("100", "10", "300", "14") == (Decimal(400), Decimal(13))


def test_adding_to_a_short_position_weighs_by_quantity():
    assert trade("-100", "10", "-300", "14") == (Decimal(-400), Decimal(13))


def test_average_cost_is_rounded_to_eight_places():
    # (1 x 1 + 2 x 2) / 3 = 1.666...
    assert trade("1", "1", "2", "2") == (Decimal(3), Decimal("1.66666667"))


@pytest.mark.parametrize(("held", "sold", "left"), [("100", "-40", "60"), ("-100", "40", "-60")])
def test_reducing_keeps_the_cost(held, sold, left):
    assert trade(held, "10", sold, "14") == (Decimal(left), Decimal(10))


@pytest.mark.parametrize(("held", "against"), [("100", "-100"), ("-0.3", "0.3")])
def test_closing_leaves_nothing(held, against):
    assert trade(held, "10", against, "14") == (Decimal(0), Decimal(0))


@pytest.mark.parametrize(("held", "against", "left"), [("100", "-150", "-50"), ("-100", "150", "50")])
def test_flip_through_zero_opens_at_the_trades_price(held, against, left):
    assert trade(held, "10", against, "14") == (Decimal(left), Decimal(14))


def test_sum_of_tenths_closes_exactly():
    # In binary floats 0.1 + 0.2 - 0.3 is 5.6e-17, a position that nobody holds.
    held, cost = trade("0.1", "7", "0.2", "7")
    assert apply_trade(held, cost, Decimal("-0.3"), Decimal(7)) == (Decimal(0), Decimal(0))


def test_largest_amounts_of_the_ledger_keep_all_their_digits():
    # Average of 10^15 and 10^15 - 10^-8 is half a unit above the lower: to even.
    cost = trade("1000000000000000", "1000000000000000", "1000000000000000", "999999999999999.99999999")[1]
    assert cost == Decimal("1000000000000000.00000000")


def test_the_threads_decimal_context_changes_nothing():
    with localcontext() as context:
        context.prec = 3
        cost = trade("1", "1", "2", "2")[1]
    assert cost == Decimal("1.66666667")


@pytest.mark.parametrize(
    ("quantity", "price", "words"),
    [("0", "10", "trade_quantity is 0"), ("1", "0", "trade_price is 0"), ("1", "-1", "-1"), ("NaN", "1", "NaN")],
)
def test_impossible_trade_is_refused_with_its_value(quantity, price, words):
    with pytest.raises(ValueError, match=words):
        trade("5", "1", quantity, price)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(quantities, prices), min_size=1, max_size=20))
def test_agrees_with_its_plain_twin_in_fractions(trades):
    held, cost = Decimal(0), Decimal(0)
    plain_held, plain_cost = Fraction(0), Fraction(0)
    for quantity, price in trades:
        held, cost = apply_trade(held, cost, quantity, price)
        plain_held, plain_cost = plain_twin(plain_held, plain_cost, Fraction(quantity), Fraction(price))
    assert Fraction(held) == plain_held
    assert float(cost) == pytest.approx(float(plain_cost), abs=1e-8 * len(trades))


def plain_twin(held: Fraction, cost: Fraction, quantity: Fraction, price: Fraction) -> tuple[Fraction, Fraction]:
    after = held + quantity
    if after == 0:
        return Fraction(0), Fraction(0)
    if held * after <= 0:
        return after, price
    if abs(after) < abs(held):
        return after, cost
    return after, (held * cost + quantity * price) / after

"""Orders bring a book to its target weights, never beyond what was asked, and say what is wrong where they cannot."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.strategies.kernels.rebalancing import fill_prices, order_quantities, rounded_to_steps

quick = settings(max_examples=300, deadline=None)


def array(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float64)


def test_orders_lead_from_what_is_held_to_the_target():
    orders = order_quantities(array(0.5, -0.25, 0.0), 1000.0, array(10, 20, 5), array(20, 0, 7), array(0, 0, 0))
    assert orders.tolist() == [30.0, -12.5, -7.0]


@pytest.mark.parametrize(("step", "bought", "sold"), [(0.0, 33.33333333, -33.33333333), (1.0, 33, -33), (10, 30, -30)])
def test_targets_are_rounded_toward_zero_on_both_sides(step, bought, sold):
    orders = order_quantities(array(0.1, -0.1), 1000.0, array(3, 3), array(0, 0), array(step, step))
    assert orders.tolist() == [bought, sold]


@pytest.mark.parametrize(
    ("held", "order"),
    [(2.5, 30.0), (33.5, 0.0), (40.5, -7.0), (-2.5, 35.0)],  # 33.3 to 33 by the step of 1, less what is held
)
def test_order_from_between_two_steps_is_of_whole_ones(held, order):
    assert order_quantities(array(0.1), 1000.0, array(3), array(held), array(1)).tolist() == [order]


@pytest.mark.parametrize("step", [0.1, 0.01, 1e-8])
def test_order_between_two_large_holdings_loses_no_step_to_their_rounding(step):
    """Of 1e6 units a difference carries errors of 1e-10, which are more than 1e-12 of a few steps."""
    held, target = 1_000_000.3, 1_000_000.7
    orders = order_quantities(array(1.0), target, array(1), array(held), array(step))
    assert orders.tolist() == [0.4]


def test_orders_below_the_least_quantity_are_left_out_and_those_of_just_it_are_not():
    closes, held, steps, least = array(10, 10, 10), array(0, 0, 0), array(0, 0, 0), array(5, 5, 0)
    orders = order_quantities(array(0.049, 0.05, 1e-6), 1000.0, closes, held, steps, min_quantities=least)
    assert orders.tolist() == [0.0, 5.0, 0.0001]


@pytest.mark.parametrize(("whole", "step"), [(0.3, 0.1), (0.7, 0.1), (4.35, 0.01), (3e-8, 0.0)])
def test_whole_number_of_steps_is_kept_whatever_binary_division_makes_of_it(whole, step):
    assert whole / (step or 1e-8) < round(whole / (step or 1e-8)), "the quotient is not below the whole number"
    assert rounded_to_steps(array(whole, -whole), array(step, step)).tolist() == [whole, -whole]


@pytest.mark.parametrize(("asked", "step", "kept"), [(99.9999999, 1.0, 99.0), (99_999.123456787, 0.0, 99_999.12345678)])
def test_what_is_below_a_whole_number_of_steps_by_more_than_rounding_loses_the_step(asked, step, kept):
    assert rounded_to_steps(array(asked, -asked), array(step, step)).tolist() == [kept, -kept]


def test_orders_below_the_least_notional_are_left_out_and_those_of_just_it_are_not():
    closes = array(10, 10, 10)
    orders = order_quantities(array(0.049, 0.05, -0.049), 1000.0, closes, array(0, 0, 0), array(0, 0, 0), 50.0)
    assert orders.tolist() == [0.0, 5.0, 0.0]


def test_symbol_without_a_price_keeps_its_position():
    orders = order_quantities(array(0.5, 0.0), 1000.0, array(10, math.nan), array(0, 7), array(1, 1))
    assert orders.tolist() == [50.0, 0.0]


def test_weight_of_a_symbol_without_a_price_is_refused_by_its_name():
    with pytest.raises(ValueError, match=r"weight of XOM is 0\.5; expected 0, as it has no price on the day"):
        order_quantities(
            array(0.5, 0.5), 1000.0, array(10, math.nan), array(0, 0), array(1, 1), symbols=("AAPL", "XOM")
        )


GOOD = {
    "weights": array(0.5, 0.5),
    "equity": 1000.0,
    "closes": array(10, 20),
    "held": array(0, 0),
    "steps": array(1, 1),
    "min_notional": 0.0,
}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"weights": array(0.5, math.nan)}, "weight of XOM is nan; expected a finite fraction"),
        ({"weights": array(math.inf, 0)}, "weight of AAPL is inf; expected a finite fraction"),
        ({"weights": array(0, 1e308)}, r"weight of XOM is 1e\+308; expected one whose quantity is a number"),
        ({"equity": 0.0}, "equity is 0.0; expected above 0"),
        ({"equity": -5.0}, "equity is -5.0; expected above 0"),
        ({"equity": math.nan}, "equity is nan; expected above 0"),
        ({"closes": array(10, 0)}, "close of XOM is 0.0; expected above 0, or NaN"),
        ({"closes": array(-3, 10)}, "close of AAPL is -3.0; expected above 0, or NaN"),
        ({"closes": array(10, math.inf)}, "close of XOM is inf; expected above 0, or NaN"),
        ({"held": array(math.nan, 0)}, "held quantity of AAPL is nan; expected a finite number"),
        ({"steps": array(1, -1)}, "quantity step of XOM is -1.0; expected at least 0"),
        ({"steps": array(math.nan, 1)}, "quantity step of AAPL is nan; expected at least 0"),
        ({"min_notional": -1.0}, "min_notional is -1.0; expected at least 0"),
        ({"held": array(0)}, r"weights \(2,\), closes \(2,\), held \(1,\), steps \(2,\); expected all of one shape"),
    ],
)
def test_what_cannot_be_sized_is_refused_with_its_value(wrong, words):
    assert order_quantities(**GOOD, symbols=("AAPL", "XOM")).tolist() == [50, 25]
    with pytest.raises(ValueError, match=words):
        order_quantities(**(GOOD | wrong), symbols=("AAPL", "XOM"))


def test_symbols_without_names_are_refused_by_their_place():
    with pytest.raises(ValueError, match="weight of symbol 1 is nan"):
        order_quantities(**(GOOD | {"weights": array(0, math.nan)}))


books = st.integers(1, 8).flatmap(
    lambda symbols: st.tuples(
        *(
            st.lists(numbers, min_size=symbols, max_size=symbols).map(lambda found: np.array(found))
            for numbers in (
                st.floats(-3, 3),
                st.floats(0.01, 5000),
                st.integers(-10_000, 10_000).map(float),
                st.sampled_from([0.0, 0.001, 0.5, 1.0, 100.0]),
            )
        )
    )
)


@quick
@given(books, st.floats(1, 1e9))
def test_rounding_on_steps_never_buys_more_than_asked_and_misses_less_than_a_step(book, equity):
    weights, closes, held, steps = book
    held = held * np.where(steps > 1, steps, 1.0)  # on its steps
    asked = weights * equity / closes

    reached = held + order_quantities(weights, equity, closes, held, steps)

    # A float of 10,000 held ends at 2e-12, and a quotient within 1e-12 below a whole step is taken for one.
    slack = 1e-11 * (1 + np.abs(asked))
    assert (np.abs(reached) <= np.abs(asked) + slack).all()
    assert (np.abs(asked) - np.abs(reached) <= np.where(steps > 0, steps, 1e-8) + slack).all()
    assert (reached * asked >= 0).all()


@quick
@given(books, st.floats(1, 1e6), st.floats(0, 1))  # at most 3e11 steps, of which a float is exact to 6e-5
def test_orders_are_of_whole_steps_whatever_is_held(book, equity, between):
    weights, closes, held, steps = book
    held = np.round(held + between * steps, 8)
    orders = order_quantities(weights, equity, closes, held, steps)
    lots = orders[steps > 0] / steps[steps > 0]
    assert np.abs(lots - np.round(lots)) == pytest.approx(0, abs=1e-3)
    missed = np.abs(held + orders - weights * equity / closes)
    assert (missed <= 2 * np.where(steps > 0, steps, 1e-8) + 1e-11 * (1 + np.abs(orders))).all()


@quick
@given(books, st.floats(1, 1e9))
def test_second_order_for_the_same_weights_is_none(book, equity):
    weights, closes, held, steps = book
    reached = held + order_quantities(weights, equity, closes, held, steps)
    again = order_quantities(weights, equity, closes, reached, steps)
    assert np.abs(again) == pytest.approx(0, abs=1e-8 + 1e-15 * np.abs(reached).max())


def test_purchases_cost_more_and_sales_bring_less_than_the_close():
    prices = fill_prices(array(5, -5, 0), array(100, 100, 100), 0.001)
    assert prices == pytest.approx([100.1, 99.9, 100.0], rel=1e-15)


def test_price_of_a_symbol_without_a_close_is_missing():
    assert np.isnan(fill_prices(array(5), array(math.nan), 0.001)).all()


@pytest.mark.parametrize("rate", [-0.001, 1.0, math.nan])
def test_cost_rate_that_is_no_fraction_is_refused(rate):
    with pytest.raises(ValueError, match=f"cost_rate is {rate}"):
        fill_prices(array(1), array(1), rate)

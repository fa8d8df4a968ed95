import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from apps.analytics.kernels.contribution import carino_factors, daily_gains
from apps.portfolios.kernels.valuation import time_weighted_returns, value_history

NONE = np.empty(0, np.intp)


def test_position_that_is_held_gains_by_its_price_and_a_trade_by_the_close():
    """100 held from 10 to 11; 50 more bought at 10.5 that day, which closes at 11."""
    prices, quantities = np.array([[10.0], [11.0]]), np.array([[100.0], [150.0]])
    trade = (np.array([1]), np.array([0]), np.array([50.0]), np.array([10.5]))
    gains = daily_gains(prices, quantities, *trade)
    assert (gains.held.tolist(), gains.traded.tolist()) == ([[100.0]], [[25.0]])


def test_trades_of_the_first_day_are_in_its_quantities():
    prices, quantities = np.array([[10.0], [11.0]]), np.array([[100.0], [100.0]])
    gains = daily_gains(prices, quantities, np.array([0]), np.array([0]), np.array([100.0]), np.array([9.0]))
    assert (gains.held.tolist(), gains.traded.tolist()) == ([[100.0]], [[0.0]])


def test_position_sold_on_a_day_without_a_close_gains_by_its_sale():
    prices, quantities = np.array([[10.0], [np.nan]]), np.array([[100.0], [0.0]])
    gains = daily_gains(prices, quantities, np.array([1]), np.array([0]), np.array([-100.0]), np.array([12.0]))
    assert float((gains.held + gains.traded)[0, 0]) == 200.0


def test_price_that_is_not_there_is_not_looked_at_where_nothing_is_held():
    prices, quantities = np.array([[10.0, np.nan], [11.0, np.nan]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    gains = daily_gains(prices, quantities, NONE, NONE, np.empty(0), np.empty(0))
    assert gains.held.tolist() == [[1.0, 0.0]]


def test_missing_price_of_what_is_held_is_refused_by_its_place():
    prices, quantities = np.array([[10.0], [np.nan]]), np.array([[1.0], [1.0]])
    with pytest.raises(ValueError, match="symbol 0 has no gain on day 1"):
        daily_gains(prices, quantities, NONE, NONE, np.empty(0), np.empty(0))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000))
def test_gains_of_a_traded_book_with_money_paid_in_add_up_to_its_returns(seed):
    random = np.random.default_rng(seed)
    days, symbols = 30, 4
    prices = 50 * np.exp(np.cumsum(random.normal(0, 0.02, (days, symbols)), axis=0))
    trades = (
        random.integers(0, days, 40),
        random.integers(0, symbols, 40),
        random.normal(0, 20, 40),
        random.uniform(40, 60, 40),
    )
    flows = np.array([5, 11]), np.array([3_000.0, -1_000.0])
    book = value_history(prices, *trades, 100_000.0, *flows)
    gains = daily_gains(prices, book.quantities, *trades)
    returns = time_weighted_returns(book.values, book.net_flows)
    together = (gains.held + gains.traded).sum(axis=1) / book.values[:-1]
    np.testing.assert_allclose(together, returns, atol=1e-12)


# --- linking


def test_linking_factors_are_carinos_worked_by_hand():
    """Two days of 10 % and 20 %, in all 32 %: k_t = ln(1 + r_t) / r_t, k = ln(1.32) / 0.32."""
    whole = math.log(1.32) / 0.32
    expected = [math.log(1.1) / 0.1 / whole, math.log(1.2) / 0.2 / whole]
    np.testing.assert_allclose(carino_factors(np.array([0.1, 0.2])), expected, rtol=1e-14)


def test_linking_factors_against_a_benchmark_worked_by_hand():
    """10 % and 20 % against 5 % and 25 %: 32 % against 31.25 %."""
    whole = (math.log(1.32) - math.log(1.3125)) / (0.32 - 0.3125)
    expected = [
        (math.log(1.1) - math.log(1.05)) / 0.05 / whole,
        (math.log(1.2) - math.log(1.25)) / -0.05 / whole,
    ]
    found = carino_factors(np.array([0.1, 0.2]), np.array([0.05, 0.25]))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_day_that_returned_nothing_has_the_limit_for_its_factor():
    whole = math.log(1.1) / 0.1
    np.testing.assert_allclose(carino_factors(np.array([0.0, 0.1])), [1 / whole, 1.0], rtol=1e-14)


def test_days_equal_to_the_benchmark_have_the_limit_for_their_factors():
    found = carino_factors(np.array([0.1, 0.2]), np.array([0.1, 0.2]))
    np.testing.assert_allclose(found, [1.32 / 1.1, 1.32 / 1.2], rtol=1e-14)


daily = st.floats(-0.5, 0.5)


@settings(max_examples=150, deadline=None)
@given(arrays(np.float64, (25, 2), elements=daily))
def test_linked_active_returns_add_up_to_the_periods(pairs):
    returns, benchmark = pairs.T
    factors = carino_factors(returns, benchmark)
    whole = np.prod(1 + returns) - np.prod(1 + benchmark)
    scale = max(1.0, np.prod(1 + returns), np.prod(1 + benchmark))
    assert np.sum(factors * (returns - benchmark)) == pytest.approx(whole, abs=1e-9 * scale)


@settings(max_examples=150, deadline=None)
@given(arrays(np.float64, (25, 3), elements=st.floats(-0.15, 0.15)))
def test_linked_contributions_add_up_to_the_total_return(contributions):
    returns = contributions.sum(axis=1)
    linked = (contributions * carino_factors(returns)[:, None]).sum(axis=0)
    whole = np.prod(1 + returns) - 1
    assert linked.sum() == pytest.approx(whole, abs=1e-9 * max(1.0, whole))


@pytest.mark.parametrize("returns", [np.array([0.1, -1.0]), np.array([-1.5]), np.array([0.1, np.nan])])
def test_loss_of_everything_has_no_factor(returns):
    with pytest.raises(ValueError, match="logarithm"):
        carino_factors(returns)

"""Historical simulation: quantile, tail average, and the split by position."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from apps.risk.kernels.historical import (
    expected_shortfall,
    overlapping_returns,
    scale_horizon,
    scenario_pnl,
    tail_count,
    tail_mass,
    value_at_risk,
    worst_scenarios,
)
from apps.risk.tests.books import CONFIDENCES, random_book, sample_book, sample_prices

quick = settings(max_examples=60, deadline=None)
amounts = st.floats(-1e6, 1e6).map(lambda x: round(x, 4))
series = arrays(np.float64, st.integers(1, 80), elements=amounts)
confidences = st.sampled_from([0.51, 0.75, *CONFIDENCES, 0.999])
seeds = st.integers(0, 2**32 - 1)


# --- the tail


def test_tail_of_500_days_at_95_is_25():
    # In binary (1 - 0.95) * 500 is 25.000000000000021, whose ceiling is 26.
    assert tail_count(0.95, 500) == 25


@pytest.mark.parametrize("percent", range(51, 100))
def test_binary_rounding_never_moves_the_tail(percent):
    assert [tail_count(percent / 100, 100 * m) for m in range(1, 21)] == [(100 - percent) * m for m in range(1, 21)]


@pytest.mark.parametrize(("confidence", "n", "k"), [(0.99, 1, 1), (0.99, 99, 1), (0.99, 101, 2), (0.975, 500, 13)])
def test_part_of_a_scenario_counts_as_one(confidence, n, k):
    assert tail_count(confidence, n) == k


def test_numpy_confidence_is_read_as_its_decimal_text():
    assert tail_count(np.float64(0.95), 500) == 25


def test_tail_mass_keeps_the_fraction():
    assert tail_mass(0.975, 500) == 12.5
    assert tail_mass(0.95, 500) == 25.0


@pytest.mark.parametrize("confidence", [0.5, 1.0, 95, 0, -0.9, math.nan])
def test_confidence_outside_its_range_is_refused_with_the_value(confidence):
    with pytest.raises(ValueError, match=f"confidence is {confidence}; expected"):
        tail_count(confidence, 500)


def test_no_observations_have_no_tail():
    with pytest.raises(ValueError, match="0 observations"):
        tail_count(0.99, 0)


# --- VaR and expected shortfall


# 500 returns, 99 %, one day, as of 2022-12-28: the worked figures of the sample data's note of origin.
@pytest.mark.parametrize(
    ("portfolio_id", "var", "shortfall"),
    [
        ("PORTFOLIO_001", 97_010.09, 118_440.60),
        ("PORTFOLIO_002", 137_609.05, 163_743.04),
        ("PORTFOLIO_003", 65_040.99, 75_430.12),
    ],
)
def test_sample_portfolio_has_its_worked_figures(portfolio_id, var, shortfall):
    pnl = scenario_pnl(*sample_book(portfolio_id))
    assert (round(value_at_risk(pnl, 0.99), 2), round(expected_shortfall(pnl, 0.99), 2)) == (var, shortfall)


def test_var_is_the_kth_worst_without_interpolation():
    assert value_at_risk(np.arange(-50.0, 50.0), 0.95) == 46.0  # -50, -49, -48, -47, the 5th: -46


def test_shortfall_counts_the_edge_by_its_remaining_fraction():
    # n = 50 at 95 %: 2.5 scenarios of -50, -49, -48 ...: (50 + 49 + 0.5 * 48) / 2.5
    assert expected_shortfall(np.arange(-50.0, 0.0), 0.95) == pytest.approx(49.2, abs=1e-12)


def test_shortfall_of_less_than_one_scenario_is_the_worst():
    assert expected_shortfall(np.array([-3.0, 1.0, 2.0]), 0.99) == 3.0


def test_figures_are_negative_where_every_scenario_gains():
    pnl = np.arange(1.0, 101.0)
    assert (value_at_risk(pnl, 0.99), expected_shortfall(pnl, 0.99)) == (-1.0, -1.0)


def test_flat_book_has_no_negative_zero():
    assert math.copysign(1, value_at_risk(np.zeros(10), 0.99)) == 1
    assert math.copysign(1, expected_shortfall(np.zeros(10), 0.99)) == 1


def test_input_is_left_as_it_was():
    pnl = np.array([3.0, -1.0, 2.0, -5.0])
    value_at_risk(pnl, 0.6), expected_shortfall(pnl, 0.6), worst_scenarios(pnl, 2)
    assert pnl.tolist() == [3.0, -1.0, 2.0, -5.0]


@pytest.mark.parametrize("measure", [value_at_risk, expected_shortfall])
@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_column_of_many_books_has_the_bits_of_the_book_alone(measure, confidence):
    pnl = np.random.default_rng(1).normal(size=(333, 9))
    assert measure(pnl, confidence).tolist() == [measure(column, confidence) for column in pnl.T]


@pytest.mark.parametrize("measure", [value_at_risk, expected_shortfall])
@pytest.mark.parametrize(
    ("pnl", "words"),
    [([], "empty"), ([1.0, math.nan], r"pnl\[1\] is nan"), ([math.inf], r"pnl\[0\] is inf"), (7.0, "dimension")],
)
def test_pnl_that_is_no_pnl_is_refused(measure, pnl, words):
    with pytest.raises(ValueError, match=words):
        measure(np.array(pnl), 0.99)


@quick
@given(series, confidences)
def test_var_and_shortfall_agree_with_their_plain_twins(pnl, confidence):
    assert value_at_risk(pnl, confidence) == plain_var(pnl, confidence)
    assert expected_shortfall(pnl, confidence) == pytest.approx(plain_shortfall(pnl, confidence), rel=1e-12, abs=1e-9)


def plain_var(pnl, confidence) -> float:
    mass = (1 - Fraction(str(confidence))) * len(pnl)
    return -sorted(pnl)[max(1, math.ceil(mass)) - 1]


def plain_shortfall(pnl, confidence) -> float:
    """Walks from the worst scenario up, taking 1/n of probability each, until 1 - c of it is used."""
    left, total = (1 - Fraction(str(confidence))), Fraction(0)
    for loss in sorted(pnl):
        taken = min(left, Fraction(1, len(pnl)))
        total += taken * Fraction(float(loss))
        left -= taken
    return float(-total / (1 - Fraction(str(confidence))))


@quick
@given(series, confidences, st.floats(0.001, 1000))
def test_twice_the_book_has_twice_the_risk(pnl, confidence, factor):
    for measure in (value_at_risk, expected_shortfall):
        assert measure(pnl * factor, confidence) == pytest.approx(measure(pnl, confidence) * factor, rel=1e-9, abs=1e-9)


@quick
@given(series, confidences, amounts)
def test_sure_gain_lowers_the_risk_by_itself(pnl, confidence, gain):
    for measure in (value_at_risk, expected_shortfall):
        assert measure(pnl + gain, confidence) == pytest.approx(measure(pnl, confidence) - gain, rel=1e-9, abs=1e-6)


@quick
@given(series)
def test_risk_grows_with_confidence(pnl):
    for measure in (value_at_risk, expected_shortfall):
        figures = [measure(pnl, confidence) for confidence in (0.51, 0.75, *CONFIDENCES, 0.999)]
        assert all(low <= high + 1e-6 for low, high in pairwise(figures))


@quick
@given(series, confidences)
def test_shortfall_is_never_below_var(pnl, confidence):
    assert expected_shortfall(pnl, confidence) >= value_at_risk(pnl, confidence) - 1e-6


@quick
@given(seeds, confidences)
def test_shortfall_of_two_books_together_is_never_above_the_sum(seed, confidence):
    first, second = np.random.default_rng(seed).standard_t(3, (2, 97))
    together = expected_shortfall(first + second, confidence)
    assert together <= expected_shortfall(first, confidence) + expected_shortfall(second, confidence) + 1e-9


# --- the peer: riskfolio-lib works on returns and takes alpha = 1 - confidence, as a float


@pytest.fixture(scope="module")
def riskfolio():
    return pytest.importorskip("riskfolio.src.RiskFunctions")


@pytest.mark.parametrize("alpha", ["0.1", "0.05", "0.025", "0.01", "0.005"])
@pytest.mark.parametrize("portfolio_id", ["PORTFOLIO_001", "PORTFOLIO_002", "PORTFOLIO_003"])
def test_sample_portfolios_agree_with_riskfolio(riskfolio, portfolio_id, alpha):
    returns, values = sample_book(portfolio_id)
    assert_agrees(riskfolio, scenario_pnl(returns, values) / np.abs(values).sum(), alpha)


@pytest.mark.parametrize("days", [1, 2, 7, 99, 101, 250, 501, 1000])
@pytest.mark.parametrize("alpha", ["0.1", "0.05", "0.025", "0.01", "0.005"])
def test_random_series_agree_with_riskfolio(riskfolio, days, alpha):
    assert_agrees(riskfolio, np.random.default_rng(days).standard_t(4, days) * 0.01, alpha)


def assert_agrees(riskfolio, returns, alpha: str) -> None:
    confidence = float(1 - Fraction(alpha))
    column = returns.reshape(-1, 1)
    assert value_at_risk(returns, confidence) == pytest.approx(riskfolio.VaR_Hist(column, float(alpha)), abs=1e-9)
    if tail_mass(confidence, len(returns)) >= 1:
        theirs = riskfolio.CVaR_Hist(column, float(alpha))
        assert expected_shortfall(returns, confidence) == pytest.approx(theirs, abs=1e-9)


def test_riskfolio_moves_k_where_binary_rounding_crosses_a_whole_number(riskfolio):
    # 0.07 * 100 is 7.000000000000001: its ceiling takes the 8th worst of 100 where the definition takes the 7th.
    returns = np.arange(-50.0, 50.0)
    assert value_at_risk(returns, 0.93) == 44.0
    assert riskfolio.VaR_Hist(returns.reshape(-1, 1), 0.07) == 43.0


# --- scenarios


def test_pnl_is_the_sum_of_value_times_return():
    returns = np.array([[0.01, -0.02], [0.03, 0.00]])
    np.testing.assert_allclose(scenario_pnl(returns, np.array([1000.0, 500.0])), [0.0, 30.0], atol=1e-12)


def test_many_books_agree_with_each_alone():
    returns, _ = random_book(3)
    values = np.random.default_rng(4).normal(0, 1e5, (7, 5))
    alone = np.column_stack([scenario_pnl(returns, column) for column in values.T])
    np.testing.assert_allclose(scenario_pnl(returns, values), alone, rtol=1e-10, atol=1e-9)


@quick
@given(seeds)
def test_order_of_the_positions_changes_no_bit_of_the_pnl(seed):
    returns, values = random_book(seed)
    order = np.random.default_rng(seed).permutation(len(values))
    assert scenario_pnl(returns[:, order], values[order]).tolist() == scenario_pnl(returns, values).tolist()


def test_memory_layout_changes_no_bit_of_the_pnl():
    returns, values = random_book(5, days=5000)
    assert scenario_pnl(np.asfortranarray(returns), values).tolist() == scenario_pnl(returns, values).tolist()


def test_values_that_do_not_fit_the_returns_are_refused():
    with pytest.raises(ValueError, match=r"returns \(4, 3\) do not fit values \(2,\)"):
        scenario_pnl(np.zeros((4, 3)), np.zeros(2))


def test_missing_return_is_refused_with_its_place():
    with pytest.raises(ValueError, match=r"returns\[1, 0\] is nan"):
        scenario_pnl(np.array([[0.1], [math.nan]]), np.ones(1))


def test_worst_scenarios_come_worst_first_and_of_equals_the_earliest():
    assert worst_scenarios(np.array([0.0, -5.0, 3.0, -7.0, -5.0]), 3).tolist() == [3, 1, 4]
    assert worst_scenarios(np.array([-5.0, -5.0, -5.0, -5.0]), 2).tolist() == [0, 1]


def test_more_worst_scenarios_than_there_are_gives_all():
    assert worst_scenarios(np.array([1.0, -1.0]), 10).tolist() == [1, 0]


def test_no_worst_scenarios_cannot_be_asked_for():
    with pytest.raises(ValueError, match="count is 0"):
        worst_scenarios(np.zeros(3), 0)


@quick
@given(arrays(np.float64, st.integers(1, 60), elements=st.integers(-3, 3)), st.integers(1, 60))
def test_worst_scenarios_agree_with_their_plain_twin(pnl, count):
    plain = sorted(range(len(pnl)), key=lambda row: (pnl[row], row))[:count]
    assert worst_scenarios(pnl, count).tolist() == plain


# --- horizons and volatility


def test_horizon_scales_by_the_square_root_of_time():
    assert scale_horizon(100.0, 4) == 200.0
    assert scale_horizon(np.array([1.0, 2.0]), 9).tolist() == [3.0, 6.0]


@pytest.mark.parametrize("function", [lambda h: scale_horizon(1.0, h), lambda h: overlapping_returns(np.ones(3), h)])
def test_horizon_below_a_day_is_refused(function):
    with pytest.raises(ValueError, match="horizon_days is 0"):
        function(0)


def test_overlapping_returns_compound():
    # 1.1 x 1.2 - 1 and 1.2 x 0.5 - 1
    np.testing.assert_allclose(overlapping_returns(np.array([0.1, 0.2, -0.5]), 2), [0.32, -0.40], rtol=1e-14)


@pytest.mark.parametrize("horizon_days", [1, 2, 10, 250])
def test_overlapping_returns_are_the_prices_over_the_prices_before(horizon_days):
    prices = sample_prices().tail(501).to_numpy(float)
    ours = overlapping_returns(prices[1:] / prices[:-1] - 1, horizon_days)
    assert ours.shape == (500 - horizon_days + 1, prices.shape[1])
    np.testing.assert_allclose(ours, prices[horizon_days:] / prices[:-horizon_days] - 1, rtol=1e-10, atol=1e-12)


def test_total_loss_does_not_poison_later_windows():
    np.testing.assert_allclose(overlapping_returns(np.array([-1.0, 0.1, 0.1]), 2), [-1.0, 0.21], rtol=1e-14)


def test_horizon_longer_than_the_history_is_refused():
    with pytest.raises(ValueError, match="9 daily returns; a horizon of 10 days"):
        overlapping_returns(np.zeros((9, 2)), 10)


def test_overlapping_returns_are_a_copy():
    returns = np.zeros(3)
    overlapping_returns(returns, 1)[0] = 1.0
    assert returns[0] == 0.0

"""The tail of one book, split by position: exact sums, whatever BLAS says in its last bits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.risk.kernels.historical import expected_shortfall, scenario_pnl, tail_count, tail_mass, value_at_risk
from apps.risk.kernels.tail import exact_split, incremental_tail, tail_split
from apps.risk.tests.books import CONFIDENCES, SAMPLE_PORTFOLIOS, random_book, sample_book

quick = settings(max_examples=60, deadline=None)
confidences = st.sampled_from([0.51, 0.75, *CONFIDENCES, 0.999])
seeds = st.integers(0, 2**32 - 1)


def plain_split(returns, values, confidence):
    """Every sum exact, every scenario ordered: the slow twin."""
    losses = [[-r * v for r, v in zip(row, values, strict=True)] for row in returns.tolist()]
    worst_first = sorted(range(len(losses)), key=lambda row: (-math.fsum(losses[row]), row))
    count, mass = tail_count(confidence, len(losses)), max(tail_mass(confidence, len(losses)), 1.0)
    shares = [1 / mass] * (count - 1) + [(mass - (count - 1)) / mass]
    tail = list(zip(shares, worst_first, strict=False))
    component_es = [math.fsum(share * losses[row][i] for share, row in tail) for i in range(len(values))]
    return worst_first[count - 1], losses[worst_first[count - 1]], component_es


@pytest.mark.parametrize("portfolio_id", SAMPLE_PORTFOLIOS)
@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_split_of_the_sample_portfolios_is_their_var_and_shortfall(portfolio_id, confidence):
    returns, values = sample_book(portfolio_id)
    split, pnl = tail_split(returns, values, confidence), scenario_pnl(returns, values)
    assert split.var == pytest.approx(value_at_risk(pnl, confidence), rel=1e-12)
    assert split.expected_shortfall == pytest.approx(expected_shortfall(pnl, confidence), rel=1e-12)


@quick
@given(seeds, confidences, st.integers(1, 60), st.integers(1, 150))
def test_split_agrees_with_its_plain_twin(seed, confidence, symbols, days):
    returns, values = random_book(seed, days, symbols)
    split = tail_split(returns, values, confidence)
    scenario, component_var, component_es = plain_split(returns, values, confidence)
    size = np.abs(values).sum()
    assert split.scenario == scenario
    np.testing.assert_allclose(split.component_var, component_var, rtol=0, atol=1e-14 * size)
    np.testing.assert_allclose(split.component_es, component_es, rtol=0, atol=1e-14 * size)


@quick
@given(seeds, confidences, st.integers(1, 300))
def test_components_add_up_to_the_bit_in_any_order(seed, confidence, symbols):
    split = tail_split(*random_book(seed, 60, symbols), confidence)
    for total, parts in ((split.var, split.component_var), (split.expected_shortfall, split.component_es)):
        assert math.fsum(parts) == sum(parts.tolist()) == sum(sorted(parts.tolist())) == total


@quick
@given(seeds, confidences)
def test_order_of_the_positions_changes_no_figure(seed, confidence):
    returns, values = random_book(seed)
    order = np.random.default_rng(seed).permutation(len(values))
    split, shuffled = tail_split(returns, values, confidence), tail_split(returns[:, order], values[order], confidence)
    assert (shuffled.var, shuffled.expected_shortfall, shuffled.scenario) == (
        split.var,
        split.expected_shortfall,
        split.scenario,
    )
    assert shuffled.component_es.tolist() == split.component_es[order].tolist()


@quick
@given(seeds, confidences)
def test_last_bits_of_the_product_change_no_figure(seed, confidence):
    returns, values = random_book(seed)
    pnl = returns @ values
    noise = np.random.default_rng(seed).uniform(-4, 4, len(pnl)) * np.finfo(float).eps * np.abs(values).sum() * 0.01
    one, other = tail_split(returns, values, confidence, pnl), tail_split(returns, values, confidence, pnl + noise)
    assert (one.var, one.expected_shortfall, one.scenario) == (other.var, other.expected_shortfall, other.scenario)


def test_of_equal_scenarios_the_later_counts_as_less_bad():
    # k = 2 of n = 40 at 95 %; three scenarios share the worst P&L: the second of them by date.
    returns = np.zeros((40, 2))
    returns[[7, 19, 33]] = -0.01
    assert tail_split(returns, np.array([1.0, 3.0]), 0.95).scenario == 19


def test_flat_book_has_no_risk_and_no_negative_zero():
    split = tail_split(np.zeros((50, 3)), np.array([1e6, -1e6, 5.0]), 0.99)
    assert (str(split.var), str(split.expected_shortfall)) == ("0.0", "0.0")


def test_marginals_are_the_slopes_in_the_position():
    returns, values = sample_book("PORTFOLIO_001")
    split = tail_split(returns, values, 0.99)
    for symbol in range(len(values)):
        bumped = values.copy()
        bumped[symbol] += 0.01
        moved = tail_split(returns, bumped, 0.99)
        assert split.marginal_var[symbol] == pytest.approx((moved.var - split.var) / 0.01, abs=1e-6)
        slope = (moved.expected_shortfall - split.expected_shortfall) / 0.01
        assert split.marginal_es[symbol] == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("symbols", [1, 7, 9000])
def test_incremental_agrees_with_pricing_the_book_without_each_position(symbols):
    returns, values = random_book(3, 120, symbols)  # 9,000 symbols are more than one block
    pnl = returns @ values
    var, shortfall = incremental_tail(returns, values, pnl, 0.95)
    for symbol in {0, symbols // 2, symbols - 1}:
        rest = np.delete(values, symbol)
        without = np.delete(returns, symbol, axis=1) @ rest
        assert var[symbol] == pytest.approx(value_at_risk(pnl, 0.95) - value_at_risk(without, 0.95), abs=1e-6)
        expected = expected_shortfall(pnl, 0.95) - expected_shortfall(without, 0.95)
        assert shortfall[symbol] == pytest.approx(expected, abs=1e-6)


def test_incremental_of_a_hedge_is_negative():
    returns = np.random.default_rng(2).normal(0, 0.01, (500, 1)).repeat(2, axis=1)
    values = np.array([100.0, -40.0])
    assert incremental_tail(returns, values, returns @ values, 0.99)[0][1] < 0


@pytest.mark.parametrize("place", [(3, 1), (0, 0)])
def test_return_that_is_no_number_is_refused_with_its_place(place):
    returns, values = random_book(1)
    returns[place] = np.nan
    with pytest.raises(ValueError, match=rf"returns\[{place[0]}, {place[1]}\] is nan"):
        tail_split(returns, values, 0.99)


def test_split_on_the_grid_is_a_rounding_and_no_more():
    parts = np.random.default_rng(5).normal(0, 1, (2, 1000)) * 10.0 ** np.random.default_rng(6).uniform(
        -9, 9, (2, 1000)
    )
    sums, on_grid = exact_split(parts)
    for row in (0, 1):
        gross = np.abs(parts[row]).sum()
        assert np.abs(on_grid[row] - parts[row]).max() <= gross * 2.0**-46
        assert sums[row] == math.fsum(on_grid[row])

"""Further measures against peers, against plain twins, and for what they promise of any book."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from threadpoolctl import threadpool_limits

from apps.risk.kernels.historical import expected_shortfall, scenario_pnl, value_at_risk
from apps.risk.kernels.measures import (
    annual_volatility,
    conditional_drawdown,
    daily_volatility,
    days_to_unwind,
    deviation,
    diversification_ratio,
    drawdowns,
    entropic_var,
    ewma_annual_volatility,
    liquidity_horizon,
    max_drawdown,
)
from apps.risk.kernels.principal import effective_bets, exact_gram, spectral_measure
from apps.risk.tests.books import CONFIDENCES, SAMPLE_PORTFOLIOS, random_book, sample_book

quick = settings(max_examples=60, deadline=None)
confidences = st.sampled_from([0.51, 0.75, *CONFIDENCES, 0.999])
seeds = st.integers(0, 2**32 - 1)
lengths = st.integers(2, 300)

sample_portfolios = pytest.mark.parametrize("portfolio_id", SAMPLE_PORTFOLIOS)
every_confidence = pytest.mark.parametrize("confidence", CONFIDENCES)


def random_pnl(seed, days=200):
    return np.random.default_rng(seed).standard_t(4, days) * 1e4


def sample_pnl(portfolio_id):
    return scenario_pnl(*sample_book(portfolio_id))


def bets_of(returns, values):
    return effective_bets(returns, values, scenario_pnl(returns, values))


def ratio_of(returns, values):
    return diversification_ratio(returns, values, scenario_pnl(returns, values))


def apart(days, symbols):
    """Returns (days, symbols) that are uncorrelated in the window, of deviation 1 %, 2 %, 3 %, ..."""
    noise = np.random.default_rng(1).normal(size=(days, symbols))
    columns = np.linalg.qr(noise - noise.mean(axis=0))[0] * math.sqrt(days - 1)
    return columns * 0.01 * np.arange(1, symbols + 1)


# --- entropic VaR


def plain_entropic_var(pnl, confidence):
    """The bound at every z, by a search that knows no derivative: the slow twin."""
    unit = float(pnl.max() - pnl.min())

    def bound(log_z):
        z = unit * math.exp(log_z)
        return z * (float(logsumexp(-pnl / z)) - math.log(len(pnl)) - math.log(1 - confidence))

    return float(minimize_scalar(bound, bounds=(-25, 3), method="bounded", options={"xatol": 1e-9}).fun)


@sample_portfolios
@every_confidence
def test_entropic_var_of_the_sample_portfolios_is_that_of_riskfolio(portfolio_id, confidence):
    from riskfolio.src.RiskFunctions import EVaR_Hist

    pnl = sample_pnl(portfolio_id)
    unit = float(np.std(pnl))  # its search starts at z = 1
    # Its search stops where the bound is flat to 1e-12: 2e-13 is what was seen.
    assert entropic_var(pnl, confidence) == pytest.approx(EVaR_Hist(pnl / unit, 1 - confidence)[0] * unit, rel=1e-10)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.975])
def test_entropic_var_of_random_series_is_that_of_riskfolio(seed, confidence):
    from riskfolio.src.RiskFunctions import EVaR_Hist

    pnl = np.random.default_rng(seed).standard_t(4, 200)
    assert entropic_var(pnl, confidence) == pytest.approx(EVaR_Hist(pnl, 1 - confidence)[0], rel=1e-10)


@quick
@given(seeds, confidences, lengths)
def test_entropic_var_agrees_with_its_plain_twin(seed, confidence, days):
    pnl = random_pnl(seed, days)
    spread = pnl.max() - pnl.min()
    assert entropic_var(pnl, confidence) == pytest.approx(plain_entropic_var(pnl, confidence), abs=1e-8 * spread)


def test_entropic_var_of_a_wager_follows_the_definition():
    # One in ten loses 1, the others gain 1, at 80 %: the least of z ln((0.1 exp(1 / z) + 0.9 exp(-1 / z)) / 0.2).
    pnl = np.array([-1.0] + [1.0] * 9)
    z = np.linspace(0.1, 10, 1_000_001)
    expected = (z * np.log((0.1 * np.exp(1 / z) + 0.9 * np.exp(-1 / z)) / 0.2)).min()
    assert entropic_var(pnl, 0.8) == pytest.approx(expected, abs=1e-9)


@quick
@given(seeds, confidences, st.integers(1, 300))
def test_entropic_var_is_above_shortfall_and_shortfall_above_var(seed, confidence, days):
    pnl = random_pnl(seed, days)
    rounding = 1e-13 * np.abs(pnl).max()
    var, shortfall = value_at_risk(pnl, confidence), expected_shortfall(pnl, confidence)
    assert var - rounding <= shortfall <= entropic_var(pnl, confidence) + rounding
    assert entropic_var(pnl, confidence) <= -pnl.min() + rounding


@quick
@given(seeds, st.integers(1, 300))
def test_entropic_var_grows_with_confidence(seed, days):
    pnl = random_pnl(seed, days)
    figures = [entropic_var(pnl, confidence) for confidence in CONFIDENCES]
    assert all(high >= low - 1e-13 * np.abs(pnl).max() for low, high in pairwise(figures))


@quick
@given(seeds, confidences, st.floats(-1e5, 1e5))
def test_sure_gain_lowers_entropic_var_by_itself(seed, confidence, gain):
    pnl = random_pnl(seed)
    assert entropic_var(pnl + gain, confidence) == pytest.approx(entropic_var(pnl, confidence) - gain, abs=1e-7)


@quick
@given(seeds, seeds, confidences)
def test_entropic_var_of_two_books_together_is_never_above_the_sum(seed, other, confidence):
    first, second = random_pnl(seed), random_pnl(other)
    assert entropic_var(first + second, confidence) <= (
        entropic_var(first, confidence) + entropic_var(second, confidence) + 1e-7
    )


@quick
@given(seeds, confidences)
def test_order_of_the_days_changes_no_entropic_var(seed, confidence):
    pnl = random_pnl(seed)
    shuffled = np.random.default_rng(seed).permutation(pnl)
    assert entropic_var(shuffled, confidence) == pytest.approx(entropic_var(pnl, confidence), rel=1e-13)


@pytest.mark.parametrize("worst_days", [5, 7])
def test_entropic_var_is_the_worst_loss_where_that_carries_the_whole_tail(worst_days):
    # 5 of 500 days are the tail at 99 %.
    pnl = np.append(np.full(worst_days, -321.0), random_pnl(1, 500 - worst_days).clip(-320))
    assert entropic_var(pnl, 0.99) == 321.0


def test_entropic_var_is_below_the_worst_loss_where_that_is_less_than_the_tail():
    pnl = np.append(np.full(4, -321.0), np.zeros(496))
    assert expected_shortfall(pnl, 0.99) < entropic_var(pnl, 0.99) < 321.0


def test_entropic_var_of_fewer_days_than_one_in_the_tail_is_the_worst_loss():
    assert entropic_var(np.array([-3.0, 1.0, 2.0]), 0.99) == 3.0


@pytest.mark.parametrize("pnl", [7.0, -7.0])
def test_entropic_var_of_days_that_are_all_alike_is_that_loss(pnl):
    assert entropic_var(np.full(50, pnl), 0.95) == -pnl


@pytest.mark.parametrize("factor", [2.0**-1000, 2.0**-30, 2.0**30, 2.0**1000])
def test_no_amount_is_too_large_or_too_small_for_entropic_var(factor):
    pnl = random_pnl(4)
    assert entropic_var(pnl * factor, 0.95) == entropic_var(pnl, 0.95) * factor


# --- drawdowns


def plain_drawdowns(pnl):
    """Day by day: the slow twin."""
    level, highest, depths = 0.0, 0.0, []
    for change in pnl.tolist():
        level += change
        highest = max(highest, level)
        depths.append(highest - level)
    return depths


@sample_portfolios
def test_drawdowns_of_the_sample_portfolios_are_those_of_riskfolio(portfolio_id):
    from riskfolio.src.RiskFunctions import CDaR_Abs, MDD_Abs

    pnl = sample_pnl(portfolio_id)
    unit = float(np.std(pnl))  # its path begins at 1, beside which the P&L should not be millions
    assert max_drawdown(pnl) == pytest.approx(MDD_Abs(pnl / unit) * unit, rel=1e-12)
    for confidence in CONFIDENCES:
        peer = CDaR_Abs(pnl / unit, 1 - confidence) * unit
        assert conditional_drawdown(pnl, confidence) == pytest.approx(peer, rel=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_drawdowns_of_random_series_are_those_of_riskfolio(seed):
    from riskfolio.src.RiskFunctions import CDaR_Abs, MDD_Abs

    pnl = np.random.default_rng(seed).standard_t(4, 200)
    assert max_drawdown(pnl) == pytest.approx(MDD_Abs(pnl), rel=1e-12)
    for confidence in (0.9, 0.95, 0.975):
        assert conditional_drawdown(pnl, confidence) == pytest.approx(CDaR_Abs(pnl, 1 - confidence), rel=1e-12)


@quick
@given(seeds, lengths)
def test_drawdowns_are_those_of_the_plain_twin_to_the_bit(seed, days):
    pnl = random_pnl(seed, days)
    assert drawdowns(pnl).tolist() == plain_drawdowns(pnl)


def test_drawdown_begins_before_the_first_day():
    assert drawdowns(np.array([-5.0, 2.0, 4.0, -1.0])).tolist() == [5.0, 3.0, 0.0, 1.0]
    assert max_drawdown(np.array([-5.0, 2.0, 4.0, -1.0])) == 5.0


def test_conditional_drawdown_counts_the_one_on_the_edge_in_part():
    # Drawdowns 1 to 5; at 70 % the tail is 1.5 of 5 days: (5 + 0.5 x 4) / 1.5.
    assert conditional_drawdown(-np.ones(5), 0.7) == pytest.approx(7 / 1.5, rel=1e-15)


@quick
@given(seeds, st.integers(1, 300))
def test_conditional_drawdown_grows_with_confidence_up_to_the_deepest(seed, days):
    pnl = random_pnl(seed, days)
    figures = [conditional_drawdown(pnl, confidence) for confidence in CONFIDENCES]
    ladder = [0.0, *figures, max_drawdown(pnl)]
    assert all(high >= low - 1e-12 * ladder[-1] for low, high in pairwise(ladder))


def test_book_that_only_gains_has_no_drawdown_and_no_negative_zero():
    assert [str(figure) for figure in (max_drawdown(np.ones(9)), conditional_drawdown(np.ones(9), 0.9))] == ["0.0"] * 2


# --- volatility


@sample_portfolios
def test_volatility_is_the_sample_deviation_of_pnl_over_value(portfolio_id):
    returns, values = sample_book(portfolio_id)
    pnl, value = scenario_pnl(returns, values), float(values.sum())
    expected = float(pd.Series(pnl / value).std())
    assert daily_volatility(pnl, value) == pytest.approx(expected, rel=1e-13)
    assert annual_volatility(pnl, value) == pytest.approx(expected * math.sqrt(252), rel=1e-13)


@sample_portfolios
def test_weighted_volatility_is_that_of_pandas(portfolio_id):
    squares = (sample_pnl(portfolio_id) / 1e6) ** 2
    # From the mean square on: pandas begins with its first number.
    recursion = pd.Series([squares.mean(), *squares]).ewm(alpha=1 - 0.94, adjust=False).mean()
    expected = math.sqrt(recursion.iloc[-1] * 252)
    assert ewma_annual_volatility(sample_pnl(portfolio_id), 1e6) == pytest.approx(expected, rel=1e-12)


@quick
@given(seeds, lengths, st.sampled_from([0.5, 0.94, 0.97, 1.0]))
def test_weighted_volatility_is_that_of_a_plain_loop(seed, days, decay):
    moves = (random_pnl(seed, days) / 1e6).tolist()
    variance = math.fsum(move * move for move in moves) / days
    for move in moves:
        variance = decay * variance + (1 - decay) * move * move
    found = ewma_annual_volatility(random_pnl(seed, days), 1e6, decay)
    assert found == pytest.approx(math.sqrt(variance * 252), rel=1e-12)


@pytest.mark.parametrize("measure", [daily_volatility, annual_volatility, ewma_annual_volatility])
@pytest.mark.parametrize(("pnl", "value"), [([1.0], 10.0), ([], 10.0), ([1.0, 2.0], 0.0), ([1.0, 2.0], -10.0)])
def test_fewer_than_two_days_or_no_value_have_no_volatility(measure, pnl, value):
    assert measure(np.array(pnl), value) is None


@pytest.mark.parametrize("measure", [daily_volatility, annual_volatility])
def test_days_that_are_all_alike_have_no_volatility_but_for_nothing(measure):
    # 0.1 three times has a deviation of 2e-17 in floats.
    assert str(measure(np.full(3, 0.1), 1.0)) == "0.0"


@pytest.mark.parametrize("measure", [daily_volatility, annual_volatility, ewma_annual_volatility])
def test_volatility_of_a_multiple_of_the_book_is_the_same(measure):
    pnl = random_pnl(2)
    assert measure(pnl * 1024, 1e6 * 1024) == measure(pnl, 1e6)


def test_deviation_of_one_day_is_refused():
    with pytest.raises(ValueError, match="1 days; expected at least 2"):
        deviation(np.ones((1, 3)))


# --- diversification ratio


@sample_portfolios
def test_diversification_ratio_is_that_of_the_covariance(portfolio_id):
    returns, values = sample_book(portfolio_id)
    covariance = np.cov(returns, rowvar=False)
    alone = np.abs(values) @ np.sqrt(np.diag(covariance))
    expected = alone / math.sqrt(values @ covariance @ values)
    assert ratio_of(returns, values) == pytest.approx(expected, rel=1e-11)


def test_uncorrelated_positions_of_equal_risk_have_the_root_of_their_number():
    assert ratio_of(apart(60, 4), 1e5 / np.arange(1, 5)) == pytest.approx(2.0, rel=1e-12)


@pytest.mark.parametrize("value", [3e5, -3e5])
def test_one_position_is_not_diversified(value):
    returns, _ = random_book(3, 100, 1)
    assert ratio_of(returns, np.array([value])) == 1.0
    assert bets_of(returns, np.array([value])) == 1.0


def test_positions_that_move_as_one_are_not_diversified():
    returns = random_book(3, 100, 1)[0].repeat(4, axis=1)
    assert ratio_of(returns, np.array([1e5, 2e5, 3e5, 7.0])) == pytest.approx(1.0, abs=1e-12)
    assert bets_of(returns, np.array([1e5, 2e5, 3e5, 7.0])) == pytest.approx(1.0, abs=1e-9)


def test_hedge_counts_as_a_holding_of_the_opposite_return():
    returns = random_book(3, 100, 1)[0].repeat(2, axis=1)
    assert ratio_of(returns, np.array([100.0, -50.0])) == pytest.approx(3.0, rel=1e-12)  # (100 + 50) / (100 - 50)


# --- effective number of bets


def plain_bets(returns, values):
    """By LAPACK's eigenvectors of the covariance: the slow twin."""
    variances, axes = np.linalg.eigh(np.cov(returns, rowvar=False))
    parts = np.maximum(variances, 0) * (axes.T @ values) ** 2
    parts = parts[parts > 0] / parts.sum()
    return math.exp(-(parts * np.log(parts)).sum())


@sample_portfolios
def test_bets_of_the_sample_portfolios_are_those_of_their_principal_axes(portfolio_id):
    returns, values = sample_book(portfolio_id)
    assert bets_of(returns, values) == pytest.approx(plain_bets(returns, values), rel=1e-10)


@quick
@given(seeds, st.integers(3, 150), st.integers(2, 60))
def test_bets_agree_with_their_plain_twin(seed, days, symbols):
    returns, values = random_book(seed, days, symbols)
    assert bets_of(returns, values) == pytest.approx(plain_bets(returns, values), rel=1e-8)


def test_bets_of_uncorrelated_positions_are_shared_out_by_their_variance():
    returns = apart(80, 4)
    # Of equal risk: four bets. One of three times the risk: 3/4 and 1/4 of the variance.
    assert bets_of(returns, 1e5 / np.arange(1, 5)) == pytest.approx(4.0, rel=1e-9)
    expected = math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert bets_of(returns, np.array([math.sqrt(3.0), 0.5, 0.0, 0.0])) == pytest.approx(expected, rel=1e-9)


def test_axes_of_the_same_variance_count_as_the_one_in_which_the_book_lies():
    returns = 0.01 * np.array([[1, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1.0]])
    assert bets_of(returns, np.array([5.0, -2.0, 1.0])) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(("days", "symbols"), [(2, 5), (30, 80), (60, 61), (60, 60), (61, 60)])
def test_more_symbols_than_days_are_decomposed_by_their_days(days, symbols):
    returns, values = random_book(days, days, symbols)
    assert bets_of(returns, values) == pytest.approx(plain_bets(returns, values), rel=1e-8)


@quick
@given(seeds, st.integers(2, 60), st.integers(1, 60))
def test_bets_and_ratio_stay_within_their_bounds(seed, days, symbols):
    returns, values = random_book(seed, days, symbols)
    assert 1.0 <= bets_of(returns, values) <= min(symbols, days - 1) * (1 + 1e-9)
    assert ratio_of(returns, values) >= 1.0


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("days", "symbols"), [(500, 120), (120, 400)])
def test_thread_count_of_blas_changes_no_bit_of_the_bets(days, symbols, threads):
    returns, values = random_book(6, days, symbols)
    found = bets_of(returns, values)
    with threadpool_limits(limits=threads, user_api="blas"):
        assert bets_of(returns, values).hex() == found.hex()


def test_gram_matrix_has_the_bits_of_any_order_of_its_sums():
    rows = np.random.default_rng(3).normal(size=(20, 500))
    order = np.random.default_rng(4).permutation(500)
    assert exact_gram(rows).tolist() == exact_gram(rows[:, order]).tolist()


def test_gram_matrix_is_the_product_up_to_a_power_of_4():
    rows = np.random.default_rng(3).normal(size=(20, 500))
    product = rows @ rows.T
    found = exact_gram(rows)
    power = math.log2(found[0, 0] / product[0, 0]) / 2
    assert power == pytest.approx(round(power), abs=1e-9)
    np.testing.assert_allclose(found / 4.0 ** round(power), product, rtol=0, atol=1e-11 * product.max())


def test_spectral_measure_is_that_of_the_eigenvectors():
    random = np.random.default_rng(5)
    matrix, start = random.normal(size=(12, 12)), random.normal(size=12)
    eigenvalues, weights = spectral_measure(matrix @ matrix.T, start)
    expected, vectors = np.linalg.eigh(matrix @ matrix.T)
    np.testing.assert_allclose(eigenvalues, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(weights, (vectors.T @ start) ** 2 / (start @ start), atol=1e-11)


# --- what holds for all of them


@quick
@given(seeds, confidences, st.sampled_from([2.0**-20, 0.5, 4.0, 2.0**20]))
def test_a_multiple_of_the_book_has_that_multiple_of_the_loss_and_is_spread_alike(seed, confidence, factor):
    returns, values = random_book(seed)
    one, many = scenario_pnl(returns, values), scenario_pnl(returns, values * factor)
    assert entropic_var(many, confidence) == entropic_var(one, confidence) * factor
    assert conditional_drawdown(many, confidence) == conditional_drawdown(one, confidence) * factor
    assert max_drawdown(many) == max_drawdown(one) * factor
    assert ratio_of(returns, values * factor) == ratio_of(returns, values)
    assert bets_of(returns, values * factor) == bets_of(returns, values)


@quick
@given(seeds)
def test_order_of_the_positions_changes_nothing(seed):
    returns, values = random_book(seed)
    order = np.random.default_rng(seed).permutation(len(values))
    assert scenario_pnl(returns[:, order], values[order]).tolist() == scenario_pnl(returns, values).tolist()
    assert ratio_of(returns[:, order], values[order]) == pytest.approx(ratio_of(returns, values), rel=1e-13)
    assert bets_of(returns[:, order], values[order]) == pytest.approx(bets_of(returns, values), rel=1e-9)


@quick
@given(seeds)
def test_short_book_is_spread_as_the_long_one(seed):
    returns, values = random_book(seed)
    assert ratio_of(returns, -values) == ratio_of(returns, values)
    assert bets_of(returns, -values) == pytest.approx(bets_of(returns, values), rel=1e-9)


@quick
@given(seeds, confidences)
def test_short_book_loses_what_the_mirrored_returns_lose(seed, confidence):
    returns, values = random_book(seed)
    short, mirrored = scenario_pnl(returns, -values), scenario_pnl(-returns, values)
    assert entropic_var(short, confidence) == entropic_var(mirrored, confidence)
    assert max_drawdown(short) == max_drawdown(mirrored)


def test_flat_book_has_no_risk_no_negative_zero_and_no_spread():
    returns, values = np.zeros((50, 3)), np.array([1e6, -2e5, 0.0])
    pnl = scenario_pnl(returns, values)
    losses = [entropic_var(pnl, 0.99), max_drawdown(pnl), conditional_drawdown(pnl, 0.99)]
    moves = [daily_volatility(pnl, 8e5), ewma_annual_volatility(pnl, 8e5)]
    assert [str(figure) for figure in losses + moves] == ["0.0"] * 5
    assert (ratio_of(returns, values), bets_of(returns, values)) == (None, None)


def test_perfect_hedge_has_no_spread():
    # Long and short of the same moves: what is left is rounding, and no risk to share out.
    returns = random_book(3, 100, 1)[0].repeat(2, axis=1)
    assert (ratio_of(returns, np.array([1e6, -1e6])), bets_of(returns, np.array([1e6, -1e6]))) == (None, None)


@pytest.mark.parametrize("factor", [2.0**-40, 2.0**50])
def test_pennies_and_thousands_of_billions_are_spread_alike(factor):
    returns, values = random_book(9)
    assert ratio_of(returns, values * factor) == ratio_of(returns, values)
    assert bets_of(returns, values * factor) == bets_of(returns, values)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "measure",
    [
        lambda pnl: entropic_var(pnl, 0.99),
        lambda pnl: conditional_drawdown(pnl, 0.99),
        max_drawdown,
        lambda pnl: daily_volatility(pnl, 1e6),
        lambda pnl: ewma_annual_volatility(pnl, 1e6),
        lambda pnl: effective_bets(pnl[:, np.newaxis], np.ones(1), np.ones(len(pnl))),
    ],
)
def test_number_that_is_none_is_refused_in_words(measure, wrong):
    pnl = random_pnl(1)
    pnl[17] = wrong
    with pytest.raises(ValueError, match=r"finite numbers"):
        measure(pnl)


@pytest.mark.parametrize("confidence", [0.5, 1.0, 95, 0, -0.9, math.nan])
@pytest.mark.parametrize("measure", [entropic_var, conditional_drawdown])
@pytest.mark.parametrize("pnl", [np.ones(50), random_pnl(1)])
def test_confidence_outside_its_range_is_refused_with_the_value(measure, confidence, pnl):
    with pytest.raises(ValueError, match=f"confidence is {confidence}; expected"):
        measure(pnl, confidence)


@pytest.mark.parametrize("measure", [effective_bets, diversification_ratio])
def test_spread_over_one_day_is_refused(measure):
    with pytest.raises(ValueError, match="1 days; expected at least 2"):
        measure(np.ones((1, 2)), np.ones(2), np.ones(1))


@pytest.mark.parametrize("measure", [lambda pnl: entropic_var(pnl, 0.9), lambda pnl: conditional_drawdown(pnl, 0.9)])
def test_no_day_is_refused(measure):
    with pytest.raises(ValueError, match="at least one"):
        measure(np.array([]))


# --- liquidity


def test_position_is_closed_at_a_fifth_of_the_volume_a_day():
    days = days_to_unwind(np.array([2.0, 0.1, np.nan]))
    np.testing.assert_allclose(days, [10.0, 0.5, np.nan], rtol=1e-15)


def test_book_is_closed_when_its_slowest_position_is():
    assert liquidity_horizon(np.array([0.5, 10.0, 3.0])) == 10.0


def test_one_unknown_volume_leaves_the_horizon_unknown():
    assert liquidity_horizon(np.array([0.5, np.nan, 3.0])) is None


@pytest.mark.parametrize("share", [0.0, -0.2, 1.1, math.nan])
def test_share_of_the_volume_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match=f"volume_share is {share}; expected"):
        days_to_unwind(np.ones(2), share)


def test_negative_days_of_volume_are_refused():
    with pytest.raises(ValueError, match="negative number"):
        days_to_unwind(np.array([np.nan, -1.0]))


@pytest.mark.parametrize(("seed", "days", "symbols"), [(1, 500, 300), (9, 500, 200), (32, 250, 400)])
def test_books_of_hundreds_of_symbols_have_a_number_of_bets(seed, days, symbols):
    # LAPACK's tridiagonal solver gave up on these, which are of the size of 1e13, until a power of two was taken out.
    returns, values = random_book(seed, days, symbols)
    assert 1 < effective_bets(returns, values, scenario_pnl(returns, values)) < symbols


def test_worst_days_closer_than_a_rounding_of_the_range_share_the_tail():
    pnl = np.full(150, 1e6)
    pnl[:2] = 0, 1e-15
    assert entropic_var(pnl, 0.99) == 0.0

"""Stress kernels: plain twins, scipy's minimiser as a peer, and properties."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import norm

from apps.risk.kernels.historical import scenario_pnl
from apps.risk.kernels.stress import expected_move, ols_betas, path_loss, reverse_stress, split_pnl
from apps.risk.tests.books import SAMPLE_PORTFOLIOS, random_book, sample_book, sample_prices

quick = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)
losses = st.floats(1.0, 1e7)


def reverse(returns: np.ndarray, values: np.ndarray, loss: float):
    return reverse_stress(returns, values, scenario_pnl(returns, values), loss)


def benchmark_of(returns: np.ndarray, seed: int = 1) -> np.ndarray:
    return returns.mean(axis=1) + np.random.default_rng(seed).normal(0, 0.003, len(returns))


# --- moves


def test_pnl_is_value_times_move():
    pnl, parts = split_pnl(np.array([-0.1, 0.02]), np.array([100.0, -50.0]))
    assert (pnl, parts.tolist()) == (pytest.approx(-11.0), [pytest.approx(-10.0), pytest.approx(-1.0)])


@quick
@given(seeds, st.floats(-20, 20))
def test_pnl_is_linear_in_the_positions(seed, factor):
    returns, values = random_book(seed)
    other = values[::-1].copy()
    move = returns[0]
    scale = np.abs(values * move).sum() + np.abs(other * move).sum()
    mixed = split_pnl(move, values + factor * other)[0]
    expected = split_pnl(move, values)[0] + factor * split_pnl(move, other)[0]
    assert mixed == pytest.approx(expected, abs=1e-13 * scale * (1 + abs(factor)))


@quick
@given(seeds)
def test_parts_add_up_to_the_bit_in_any_order(seed):
    returns, values = random_book(seed, symbols=40)
    pnl, parts = split_pnl(returns[0], values)
    assert math.fsum(parts) == pnl == float(sum(parts[::-1].tolist()))


def test_nothing_moved_is_no_minus_zero():
    pnl, parts = split_pnl(np.zeros(2), np.array([100.0, -50.0]))
    assert [str(amount) for amount in (pnl, *parts.tolist())] == ["0.0"] * 3


# --- paths


def test_path_counts_from_its_start_and_finds_the_worst_close():
    closes = np.array([[10.0, 20.0], [8.0, 22.0], [11.0, 19.0]])
    loss = path_loss(closes, np.array([100.0, -100.0]))
    # Row 1: -20 - 10; row 2: +10 + 5.
    assert (loss.worst_pnl, loss.worst_row, loss.pnl) == (pytest.approx(-30.0), 1, pytest.approx(15.0))
    assert loss.returns.tolist() == [pytest.approx(0.1), pytest.approx(-0.05)]


@quick
@given(seeds)
def test_path_agrees_with_its_plain_twin(seed):
    returns, values = random_book(seed, days=30)
    closes = 100 * np.cumprod(1 + returns, axis=0)
    plain = [math.fsum(values * (row / closes[0] - 1)) for row in closes[1:]]
    loss = path_loss(closes, values)
    scale = np.abs(values).sum()
    assert loss.worst_pnl == pytest.approx(min(plain), abs=1e-13 * scale)
    assert plain[loss.worst_row - 1] == pytest.approx(min(plain), abs=1e-13 * scale)
    assert loss.pnl == math.fsum(loss.parts) == pytest.approx(plain[-1], abs=1e-13 * scale)
    assert loss.worst_pnl <= loss.pnl


@pytest.mark.parametrize(
    ("closes", "said"), [([[1.0]], "1 rows"), ([[1.0], [np.nan]], "no positive"), ([[0.0], [1.0]], "no positive")]
)
def test_path_that_is_none_is_refused(closes, said):
    with pytest.raises(ValueError, match=said):
        path_loss(np.array(closes), np.array([1.0]))


# --- betas


@quick
@given(seeds)
def test_betas_agree_with_least_squares_one_by_one(seed):
    returns, _ = random_book(seed)
    benchmark = benchmark_of(returns)
    plain = [np.polyfit(benchmark, column, 1)[0] for column in returns.T]
    np.testing.assert_allclose(ols_betas(returns, benchmark), plain, rtol=1e-9, atol=1e-11)


def test_beta_of_the_benchmark_is_one_and_of_twice_it_is_two():
    benchmark = sample_prices()["SP500"].pct_change().tail(500).to_numpy()
    betas = ols_betas(np.column_stack([benchmark, -2 * benchmark + 0.01]), benchmark)
    np.testing.assert_allclose(betas, [1.0, -2.0], rtol=1e-13)


@pytest.mark.parametrize("flat", [0.0, 0.01, 1e-200])
def test_benchmark_that_does_not_move_has_no_betas(flat):
    assert ols_betas(random_book(1)[0], np.full(120, flat)) is None


def test_other_positions_and_their_order_change_no_bit_of_a_figure():
    returns, values = random_book(3, days=500, symbols=50)
    benchmark, pnl = benchmark_of(returns), scenario_pnl(returns, values)
    order = np.random.default_rng(0).permutation(50)
    betas, found = ols_betas(returns, benchmark), reverse_stress(returns, values, pnl, 1e5)
    shuffled = reverse_stress(returns[:, order], values[order], pnl, 1e5)
    assert ols_betas(returns[:, order], benchmark).tolist() == betas[order].tolist()
    assert ols_betas(returns[:, [7]], benchmark).tolist() == [betas[7]]
    assert ols_betas(np.asfortranarray(returns), benchmark).tolist() == betas.tolist()
    assert shuffled.move.tolist() == found.move[order].tolist()


# --- reverse stress


@quick
@given(seeds, losses)
def test_reverse_stress_loses_the_amount(seed, loss):
    returns, values = random_book(seed)
    found = reverse(returns, values, loss)
    assert found.pnl == pytest.approx(-loss, abs=1e-13 * np.abs(values * found.move).sum())
    assert math.fsum(found.parts) == found.pnl


@quick
@given(seeds, losses)
def test_reverse_stress_agrees_with_its_plain_twin(seed, loss):
    returns, values = random_book(seed)
    covariance = np.cov(returns, rowvar=False)
    deviation = math.sqrt(values @ covariance @ values)
    found = reverse(returns, values, loss)
    np.testing.assert_allclose(found.move, -loss * covariance @ values / deviation**2, rtol=1e-8, atol=1e-12 * loss)
    assert found.deviation == pytest.approx(deviation, rel=1e-10)
    assert found.distance == pytest.approx(loss / deviation, rel=1e-10)
    assert found.probability == pytest.approx(norm.sf(found.distance), rel=1e-8)
    # The distance is that of the move itself.
    assert math.sqrt(found.move @ np.linalg.solve(covariance, found.move)) == pytest.approx(found.distance, rel=1e-8)


@quick
@given(seeds, st.integers(0, 2**32 - 1))
def test_no_other_move_that_loses_as_much_is_nearer(seed, other_seed):
    returns, values = random_book(seed)
    found = reverse(returns, values, 1e5)
    inverse = np.linalg.inv(np.cov(returns, rowvar=False))
    aside = np.random.default_rng(other_seed).normal(0, 0.1, len(values))
    aside -= values * (values @ aside) / (values @ values)  # moves no P&L
    other = found.move + aside
    assert math.sqrt(other @ inverse @ other) >= found.distance * (1 - 1e-9)


@pytest.mark.parametrize("portfolio_id", SAMPLE_PORTFOLIOS)
def test_reverse_stress_of_the_sample_portfolios_is_what_scipy_finds(portfolio_id):
    returns, values = sample_book(portfolio_id)
    loss = 0.05 * np.abs(values).sum()
    found = reverse(returns, values, loss)
    inverse = np.linalg.inv(np.cov(returns, rowvar=False))
    search = minimize(
        lambda move: move @ inverse @ move,
        np.full(len(values), -loss / values.sum()),
        jac=lambda move: 2 * inverse @ move,
        constraints={"type": "eq", "fun": lambda move: (values @ move + loss) / loss, "jac": lambda _: values / loss},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 2_000},
    )
    assert search.success
    assert math.sqrt(search.fun) == pytest.approx(found.distance, rel=1e-8)
    np.testing.assert_allclose(search.x, found.move, rtol=1e-4, atol=1e-6)


@quick
@given(seeds, st.floats(0.01, 100))
def test_twice_the_loss_is_twice_as_far(seed, factor):
    returns, values = random_book(seed)
    once, scaled = reverse(returns, values, 1e4), reverse(returns, values, 1e4 * factor)
    assert scaled.distance == pytest.approx(once.distance * factor, rel=1e-12)
    np.testing.assert_allclose(scaled.move, once.move * factor, rtol=1e-12)


@quick
@given(seeds)
def test_short_book_loses_by_the_opposite_move(seed):
    returns, values = random_book(seed)
    np.testing.assert_array_equal(reverse(returns, -values, 1e4).move, -reverse(returns, values, 1e4).move)


def test_more_symbols_than_days_still_lose_the_amount():
    returns, values = random_book(5, days=10, symbols=60)
    found = reverse(returns, values, 1e4)
    # The nearest move that a singular covariance holds possible: by its pseudo-inverse.
    covariance = np.cov(returns, rowvar=False)
    distance = math.sqrt(found.move @ np.linalg.pinv(covariance, hermitian=True, rcond=1e-10) @ found.move)
    assert distance == pytest.approx(found.distance, rel=1e-8)
    assert found.pnl == pytest.approx(-1e4, rel=1e-10)


@pytest.mark.parametrize("values", [[0.0, 0.0], [100.0, -100.0], [1e-250, 0.0]])
def test_book_that_does_not_move_has_no_reverse_stress(values):
    returns = np.random.default_rng(2).normal(0, 0.01, (100, 1)).repeat(2, axis=1)
    assert reverse(returns, np.array(values), 1.0) is None


@quick
@given(seeds, losses)
def test_expected_move_of_a_held_symbol_is_its_part_of_the_reverse_stress(seed, loss):
    returns, values = random_book(seed)
    pnl = scenario_pnl(returns, values)
    assume(np.abs(values).max() > 0)
    move = reverse_stress(returns, values, pnl, loss).move
    assert expected_move(returns[:, 2], pnl, loss) == pytest.approx(move[2], rel=1e-12)


@pytest.mark.parametrize("loss", [0.0, -1.0, math.nan, math.inf])
def test_loss_that_is_none_is_refused(loss):
    with pytest.raises(ValueError, match="expected a positive number"):
        reverse(*random_book(1), loss)


def test_shapes_that_do_not_fit_and_what_is_no_number_are_refused():
    returns, values = random_book(1)
    with pytest.raises(ValueError, match="the same two days or more"):
        ols_betas(returns, np.zeros(7))
    with pytest.raises(ValueError, match="NaN or infinity"):
        reverse_stress(np.full_like(returns, np.nan), values, np.zeros(120), 1.0)

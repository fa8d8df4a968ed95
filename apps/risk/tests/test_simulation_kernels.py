"""Monte Carlo and filtered historical simulation."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy import stats

from apps.risk.kernels.filtering import ewma_volatility, filter_factors, fit_garch, garch_volatility
from apps.risk.kernels.monte_carlo import loadings, simulate, simulated_tail
from apps.risk.tests.books import random_book


@pytest.mark.parametrize("df", [None, 4.0])
def test_moves_follow_their_distribution(df):
    moves = simulate(np.array([0.6, 0.8]), 200_000, 3, df)
    expected = stats.norm() if df is None else stats.t(df)
    # One half only: the other is its mirror image.
    assert stats.kstest(moves[:100_000], expected.cdf).pvalue > 0.01


@pytest.mark.parametrize("paths", [2, 3, 1000, 1001])
def test_each_path_has_its_mirror_image(paths):
    moves = simulate(np.ones(3) / math.sqrt(3), paths, 1)
    half = (paths + 1) // 2
    assert len(moves) == paths
    np.testing.assert_array_equal(moves[half:], -moves[: paths - half])


def test_seed_decides_every_bit():
    first, again, other = (simulate(np.ones(1), 5000, seed, 5.0) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert not np.isin(other, first).any()


@pytest.mark.parametrize(("days", "symbols"), [(120, 7), (30, 80)])
def test_symbols_drawn_by_their_factors_have_the_windows_covariance(days, symbols):
    returns, values = random_book(2, days, symbols)
    deviation = np.std(returns @ values, ddof=1)
    weights = loadings(returns, values, returns @ values)
    assert weights @ weights == pytest.approx(1.0)
    assert len(weights) == min(days, symbols)
    assert np.std(simulate(weights, 400_000, 5)) * deviation == pytest.approx(deviation, rel=0.005)


def test_loadings_are_those_of_the_triangular_factor():
    returns, values = random_book(6)
    triangular = np.linalg.qr(returns - returns.mean(axis=0), mode="r") @ values
    np.testing.assert_allclose(
        np.abs(loadings(returns, values, returns @ values)), np.abs(triangular / np.linalg.norm(triangular)), atol=1e-12
    )


def test_symbols_that_move_as_one_leave_the_covariance_singular_and_do_no_harm():
    returns = random_book(1, 120, 1)[0].repeat(4, axis=1)
    weights = loadings(returns, np.ones(4), returns.sum(axis=1))
    np.testing.assert_allclose(np.abs(weights), [1, 0, 0, 0], atol=1e-12)


def test_book_that_does_not_move_has_no_loadings():
    assert not loadings(np.zeros((50, 3)), np.ones(3), np.zeros(50)).any()


@pytest.mark.parametrize(("df", "confidence"), [(None, 0.99), (None, 0.75), (5.0, 0.975)])
def test_standard_error_is_the_spread_over_seeds(df, confidence):
    tails = [simulated_tail(simulate(np.ones(1), 10_000, seed, df), confidence) for seed in range(300)]
    spread = np.std([one.tail.quantile for one in tails])
    assert np.mean([one.standard_error for one in tails]) == pytest.approx(spread, rel=0.12)


def test_a_million_paths_of_250_symbols_take_the_memory_of_the_result():
    tracemalloc.start()
    simulate(np.ones(250), 100_000, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 0.8 MB of results and 1 MiB of draws; all draws at once would be 200 MB.
    assert peak < 4e6


def test_one_path_is_refused():
    with pytest.raises(ValueError, match="paths is 1"):
        simulate(np.ones(1), 1, 0)


# --- filtering


def test_ewma_follows_its_recursion():
    # var(1) = mean square = (1 + 4) / 2; var(2) = 0.94 x 2.5 + 0.06 x 1; var(3) = 0.94 x 2.41 + 0.06 x 4.
    np.testing.assert_allclose(ewma_volatility(np.array([1.0, -2.0])) ** 2, [2.5, 2.41, 2.5054])


def test_garch_follows_its_recursion_as_arch_has_it():
    from arch.univariate import GARCH, ZeroMean

    pnl = random_book(8, 400, 1)[0][:, 0] * 100
    fit = ZeroMean(pnl, volatility=GARCH(1, 0, 1), rescale=False).fit(disp="off", show_warning=False)
    ours = garch_volatility(pnl, *fit.params.tolist(), start=float(fit.conditional_volatility[0]) ** 2)
    np.testing.assert_allclose(ours[:-1], fit.conditional_volatility, rtol=1e-8)
    next_day = fit.forecast(horizon=1, reindex=False).variance.to_numpy()[0, 0]
    assert ours[-1] ** 2 == pytest.approx(next_day, rel=1e-8)


@pytest.mark.parametrize("seed", range(8))
def test_garch_fit_is_as_likely_as_archs(seed):
    from arch.univariate import GARCH, ZeroMean

    random, variance, shocks = np.random.default_rng(seed), 1.0, []
    for _ in range(500 + 100 * seed):
        shocks.append(math.sqrt(variance) * random.standard_normal())
        variance = 0.05 + 0.08 * shocks[-1] ** 2 + 0.87 * variance
    shocks = np.array(shocks)
    volatility = GARCH(1, 0, 1)
    peer = ZeroMean(shocks, volatility=volatility, rescale=False).fit(disp="off", show_warning=False)
    fit = fit_garch(shocks, float(volatility.backcast(shocks)))
    variance = garch_volatility(shocks, fit.omega, fit.alpha, fit.beta, fit.start)[:-1] ** 2
    ours = -0.5 * np.sum(np.log(2 * np.pi) + np.log(variance) + shocks**2 / variance)
    # arch's search stops some 1e-6 short of the top; ours must not stop lower.
    assert ours >= peer.loglikelihood - 1e-5
    assert fit.converged


def test_calm_days_before_a_storm_are_scaled_up():
    factors = filter_factors(np.array([1.0, 2.0, 4.0]))
    assert factors.tolist() == [4.0, 2.0]


def test_day_without_volatility_is_left_as_it_was():
    assert filter_factors(np.array([0.0, 2.0, 4.0])).tolist() == [1.0, 2.0]
    assert filter_factors(np.zeros(3)).tolist() == [1.0, 1.0]

"""Normal, Student t and Cornish-Fisher: against scipy, published figures, and numerical derivatives."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from apps.risk.kernels.cornish_fisher import cornish_fisher, cornish_fisher_marginals, is_valid, shape_of
from apps.risk.kernels.parametric import (
    LARGEST_DF,
    elliptical_split,
    fit_student_t,
    moments,
    normal_tail,
    student_t_tail,
)
from apps.risk.tests.books import SAMPLE_PORTFOLIOS, random_book, sample_book

quick = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)


# --- tails


def test_normal_tail_has_its_textbook_figures():
    # Hull (2018), Risk Management and Financial Institutions, 5th ed., ch. 12: 2.326 and 2.665 at 99 %.
    tail = normal_tail(0.99)
    assert (round(tail.quantile, 3), round(tail.tail_mean, 3)) == (2.326, 2.665)


@pytest.mark.parametrize("confidence", [0.6, 0.95, 0.99, 0.9999])
@pytest.mark.parametrize("df", [1.2, 2.0, 4.3, 30.0, 1000.0])
def test_student_t_tail_is_the_integral_of_its_density(confidence, df):
    tail = student_t_tail(confidence, df)
    assert tail.quantile == pytest.approx(-stats.t.ppf(1 - confidence, df), rel=1e-10)
    mean, _ = integrate.quad(lambda p: -stats.t.ppf(p, df), 0, 1 - confidence, limit=500)
    assert tail.tail_mean == pytest.approx(mean / (1 - confidence), rel=2e-3 if df < 2 else 1e-6)


def test_tail_of_one_degree_of_freedom_has_no_mean():
    with pytest.raises(ValueError, match="df is 1"):
        student_t_tail(0.99, 1.0)


# --- the t fit


@pytest.mark.parametrize("portfolio_id", SAMPLE_PORTFOLIOS)
def test_fit_of_the_sample_portfolios_is_at_least_as_likely_as_scipys(portfolio_id):
    # scipy stops its simplex at 1e-4 or so of the parameters; the likelihood there is flat to the seventh digit.
    pnl = np.matmul(*sample_book(portfolio_id))
    ours, scipys = fit_student_t(pnl), stats.t.fit(pnl)
    ours_likelihood = stats.t.logpdf(pnl, ours.df, ours.location, ours.scale).sum()
    assert ours_likelihood >= stats.t.logpdf(pnl, *scipys).sum() - 1e-9
    assert (ours.df, ours.scale) == (pytest.approx(scipys[0], rel=1e-3), pytest.approx(scipys[2], rel=1e-3))


@pytest.mark.parametrize("df", [2.5, 4.0, 12.0])
def test_fit_finds_the_parameters_of_a_large_sample(df):
    sample = stats.t.rvs(df, 3.0, 2.0, size=40_000, random_state=7)
    fit = fit_student_t(sample)
    assert (fit.location, fit.scale) == (pytest.approx(3.0, abs=0.05), pytest.approx(2.0, rel=0.03))
    assert fit.df == pytest.approx(df, rel=0.08)


@quick
@given(seeds, st.floats(1e-6, 1e9), st.floats(-5.0, 5.0))
def test_fit_moves_with_scale_and_shift(seed, factor, shift):
    sample = np.random.default_rng(seed).standard_t(4, 250)
    fit, moved = fit_student_t(sample), fit_student_t((sample + shift) * factor)
    assert moved.df == pytest.approx(fit.df, rel=1e-4)
    assert moved.scale == pytest.approx(fit.scale * factor, rel=1e-5)
    assert moved.location == pytest.approx((fit.location + shift) * factor, rel=1e-4, abs=1e-5 * factor)


def test_fit_is_where_the_gradient_vanishes():
    sample = np.matmul(*sample_book("PORTFOLIO_002"))
    fit = fit_student_t(sample)

    def likelihood(df, location, scale):
        return stats.t.logpdf(sample, df, location, scale).mean()

    for step in ((1e-4, 0, 0), (0, fit.scale * 1e-4, 0), (0, 0, fit.scale * 1e-4)):
        up = likelihood(fit.df + step[0], fit.location + step[1], fit.scale + step[2])
        down = likelihood(fit.df - step[0], fit.location - step[1], fit.scale - step[2])
        assert abs(up - down) / 2e-4 < 1e-6


def test_thin_tails_end_at_the_normal_distribution():
    assert fit_student_t(np.linspace(-1, 1, 101)).df == pytest.approx(LARGEST_DF)


def test_flat_sample_has_no_scale():
    fit = fit_student_t(np.full(50, 7.0))
    assert (fit.location, fit.scale) == (7.0, 0.0)


def test_sample_that_mostly_stands_still_is_fitted_all_the_same():
    fit = fit_student_t(np.r_[np.zeros(80), np.random.default_rng(0).normal(0, 1, 20)])
    assert 0 < fit.scale < 1
    assert math.isfinite(fit.df)


# --- the split of an elliptical book


@quick
@given(seeds, st.floats(0.5, 4.0), st.floats(-1e3, 1e3), st.floats(0.3, 3.0))
def test_elliptical_components_add_up(seed, quantile, shift, stretch):
    returns, values = random_book(seed)
    described = moments(returns, values, returns @ values)
    location, scale = described.mean + shift, described.deviation * stretch
    component, _, _ = elliptical_split(described, values, location, scale, quantile)
    assert component.sum() == pytest.approx(scale * quantile - location, rel=1e-9, abs=1e-6)


def test_normal_split_agrees_with_the_covariance_matrix():
    returns, values = random_book(4)
    covariance, means = np.cov(returns.T), returns.mean(axis=0)
    described = moments(returns, values, returns @ values)
    z = normal_tail(0.99).quantile

    def var(v):
        return z * math.sqrt(v @ covariance @ v) - means @ v

    component, marginal, incremental = elliptical_split(described, values, described.mean, described.deviation, z)
    deviation = math.sqrt(values @ covariance @ values)
    np.testing.assert_allclose(marginal, z * covariance @ values / deviation - means, rtol=1e-10)
    np.testing.assert_allclose(component, marginal * values, rtol=1e-12)
    for symbol in range(len(values)):
        without = np.where(np.arange(len(values)) == symbol, 0.0, values)
        assert incremental[symbol] == pytest.approx(var(values) - var(without), rel=1e-9, abs=1e-6)


def test_hedge_that_leaves_nothing_has_no_betas():
    returns = np.random.default_rng(1).normal(0, 0.01, (60, 1)).repeat(2, axis=1)
    values = np.array([1e6, -1e6])
    described = moments(returns, values, np.zeros(60))
    component, _, incremental = elliptical_split(described, values, 0.0, 0.0, 2.3)
    assert described.deviation == 0
    assert np.isfinite(component).all()
    assert (incremental < 0).all()  # either half alone is a risk that the other takes away


# --- Cornish-Fisher


def test_moments_agree_with_scipy():
    pnl = np.random.default_rng(3).gamma(2.0, 1.0, (400, 3))
    shape = shape_of(pnl)
    np.testing.assert_allclose(shape.skewness, stats.skew(pnl), rtol=1e-12)
    np.testing.assert_allclose(shape.kurtosis, stats.kurtosis(pnl), rtol=1e-12)
    np.testing.assert_allclose(shape.deviation, np.std(pnl, axis=0, ddof=1), rtol=1e-14)


def test_without_skew_and_kurtosis_it_is_normal():
    flat = shape_of(np.zeros((10, 1)))
    var, _ = cornish_fisher(flat, 0.99)
    assert (flat.deviation[0], var[0]) == (0.0, 0.0)
    described = shape_of(np.random.default_rng(0).normal(0, 1, (200_000, 1)))
    var, shortfall = cornish_fisher(described, 0.99)
    assert (var[0], shortfall[0]) == (pytest.approx(2.326, abs=0.03), pytest.approx(2.665, abs=0.04))


def test_shortfall_is_the_mean_of_the_quantile_function_below_z():
    shape = shape_of(np.matmul(*sample_book("PORTFOLIO_003"))[:, np.newaxis])
    s, k = float(shape.skewness[0]), float(shape.kurtosis[0])

    def quantile(p):
        z = stats.norm.ppf(p)
        return z + (z * z - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s * s / 36

    mean, _ = integrate.quad(quantile, 0, 0.025, limit=500)
    expected = -shape.mean[0] - shape.deviation[0] * mean / 0.025
    assert cornish_fisher(shape, 0.975)[1][0] == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("seed", range(5))
def test_euler_derivatives_are_the_numerical_ones_and_add_up(seed):
    returns, values = random_book(seed, 200, 5)
    pnl = returns @ values
    by_var, by_shortfall = cornish_fisher_marginals(returns, pnl, 0.99)
    var, shortfall = cornish_fisher(shape_of(pnl[:, np.newaxis]), 0.99)
    assert by_var @ values == pytest.approx(var[0], rel=1e-10)
    assert by_shortfall @ values == pytest.approx(shortfall[0], rel=1e-10)
    for symbol in range(5):
        step = np.zeros(5)
        step[symbol] = 10.0
        up = cornish_fisher(shape_of((returns @ (values + step))[:, np.newaxis]), 0.99)
        down = cornish_fisher(shape_of((returns @ (values - step))[:, np.newaxis]), 0.99)
        assert by_var[symbol] == pytest.approx((up[0][0] - down[0][0]) / 20, rel=1e-5, abs=1e-8)
        assert by_shortfall[symbol] == pytest.approx((up[1][0] - down[1][0]) / 20, rel=1e-5, abs=1e-8)


@quick
@given(st.floats(-4, 4).filter(lambda skewness: skewness == 0 or abs(skewness) > 1e-6), st.floats(-2, 20))
def test_domain_of_validity_is_where_the_quantile_function_rises(skewness, kurtosis):
    curve = np.polynomial.Polynomial([0.0, 1.0])
    curve += (
        np.polynomial.Polynomial([-1, 0, 1]) * skewness / 6 + np.polynomial.Polynomial([0, -3, 0, 1]) * kurtosis / 24
    )
    curve -= np.polynomial.Polynomial([0, -5, 0, 2]) * skewness**2 / 36
    slope = curve.deriv()
    lowest = slope(-slope.coef[1] / (2 * slope.coef[2])) if len(slope.coef) == 3 and slope.coef[2] else slope(0.0)
    rises = lowest > 0 and (len(slope.coef) < 3 or slope.coef[2] >= 0)
    if abs(lowest) > 1e-9:  # at the very edge rounding decides
        assert is_valid(skewness, kurtosis) == rises


def test_domain_has_its_published_edge():
    # Maillard (2012), table 1: with no skewness the excess kurtosis may go from 0 to 8.
    assert [is_valid(0, kurtosis) for kurtosis in (-0.01, 0, 4, 8, 8.01)] == [False, True, True, True, False]

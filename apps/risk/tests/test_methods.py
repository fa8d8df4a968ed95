"""What holds for every method: coherence where the theory has it, exact components, forecasts that are the estimate."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.risk.errors import InsufficientHistoryError
from apps.risk.methods import METHODS
from apps.risk.tests.books import SAMPLE_PORTFOLIOS, parameters, priced_book, random_book, sample_book

VARIANTS = [
    *((name, "normal") for name in sorted(METHODS)),
    *((name, "student_t") for name in sorted(METHODS) if "distribution" in METHODS[name].uses),
]
# GARCH fits each book its own volatility, and parametric t its own degrees of freedom: their incremental and marginal
# figures hold those fixed (docs/methods.md), so they are not the figures of the book without the position.
REFITTED = {("filtered_historical", "normal"), ("parametric", "student_t"), ("monte_carlo", "student_t")}
quick = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def estimate_of(variant, returns, values, cash=0.0, **changes):
    name, distribution = variant
    asked = parameters(**{"distribution": distribution, "paths": 4000, **changes})
    return METHODS[name].estimate(priced_book(returns, values, cash), asked)


def every_variant(function):
    return pytest.mark.parametrize("variant", VARIANTS, ids=["-".join(one) for one in VARIANTS])(function)


@every_variant
@pytest.mark.parametrize("horizon", [{}, {"horizon_days": 10}, {"horizon_days": 10, "horizon_method": "overlapping"}])
def test_components_add_up_exactly_in_any_order(variant, horizon):
    estimate = estimate_of(variant, *sample_book("PORTFOLIO_001"), **horizon)
    for total, parts in (
        (estimate.var, estimate.component_var.tolist()),
        (estimate.expected_shortfall, estimate.component_es.tolist()),
    ):
        assert sum(parts) == sum(reversed(parts)) == math.fsum(parts) == total


@every_variant
@quick
@given(seed=seeds, factor=st.sampled_from([0.5, 2.0, 1000.0]))
def test_a_multiple_of_the_book_has_that_multiple_of_the_risk(variant, seed, factor):
    returns, values = random_book(seed)
    one, other = estimate_of(variant, returns, values), estimate_of(variant, returns, values * factor)
    assert other.var == pytest.approx(one.var * factor, rel=1e-6)
    assert other.expected_shortfall == pytest.approx(one.expected_shortfall * factor, rel=1e-6)


@every_variant
@quick
@given(seed=seeds)
def test_order_of_the_positions_changes_nothing(variant, seed):
    returns, values = random_book(seed)
    order = np.random.default_rng(seed).permutation(len(values))
    one, other = estimate_of(variant, returns, values), estimate_of(variant, returns[:, order], values[order])
    # Paths are drawn for factors in the order of the symbols: another order is another draw.
    noise = 8 * (one.standard_error or 0.0)
    assert other.var == pytest.approx(one.var, rel=1e-9, abs=noise)
    assert other.expected_shortfall == pytest.approx(one.expected_shortfall, rel=1e-9, abs=2 * noise)
    if not noise:
        np.testing.assert_allclose(other.component_var, one.component_var[order], rtol=1e-7, atol=1e-6)


@every_variant
@quick
@given(seed=seeds)
def test_var_grows_with_confidence_and_shortfall_is_above_it(variant, seed):
    returns, values = random_book(seed)
    estimates = [estimate_of(variant, returns, values, confidence=c) for c in (0.9, 0.95, 0.99)]
    if any("outside the domain" in warning for one in estimates for warning in one.warnings):
        return  # there the expansion promises nothing, and says so
    figures = [one.var for one in estimates]
    assert figures == sorted(figures)
    for one in estimates:
        assert one.expected_shortfall >= one.var - 1e-9 * abs(one.var)


# Translation: a sure gain each day lowers VaR and ES by itself. Filtering and ageing see only the P&L: the volatility
# that is taken around zero moves with a sure gain, so it does not hold there.
@pytest.mark.parametrize(
    "variant", [one for one in VARIANTS if one[0] != "filtered_historical"], ids=lambda one: "-".join(one)
)
@quick
@given(seed=seeds, gain=st.floats(-0.01, 0.01))
def test_sure_gain_lowers_the_risk_by_itself(variant, seed, gain):
    returns, values = random_book(seed)
    returns, values = np.column_stack([returns, np.zeros(len(returns))]), np.append(values, 1e6)
    with_gain = returns.copy()
    with_gain[:, -1] = gain
    one, other = estimate_of(variant, returns, values), estimate_of(variant, with_gain, values)
    assert other.var == pytest.approx(one.var - gain * 1e6, rel=1e-6, abs=0.5)
    assert other.expected_shortfall == pytest.approx(one.expected_shortfall - gain * 1e6, rel=1e-6, abs=0.5)


@pytest.mark.parametrize("name", ["historical", "age_weighted", "parametric"])
@quick
@given(seed=seeds, confidence=st.sampled_from([0.9, 0.975, 0.99]))
def test_shortfall_of_two_books_together_is_never_above_the_sum(name, seed, confidence):
    returns, values = random_book(seed)
    other = np.random.default_rng(seed).normal(0, 1e5, len(values))
    together, first, second = (
        estimate_of((name, "normal"), returns, v, confidence=confidence).expected_shortfall
        for v in (values + other, values, other)
    )
    assert together <= first + second + 1e-6


@every_variant
@pytest.mark.parametrize("portfolio_id", SAMPLE_PORTFOLIOS)
def test_forecast_is_the_estimate_of_one_day(variant, portfolio_id):
    returns, values = sample_book(portfolio_id)
    name, distribution = variant
    asked = parameters(distribution=distribution, paths=200_000)
    book = priced_book(returns, values)
    estimate, forecast = METHODS[name].estimate(book, asked), METHODS[name].forecast(book.pnl, asked)
    noise = 5 * (estimate.standard_error or 0.0)
    assert forecast.var == pytest.approx(estimate.var, rel=1e-9, abs=noise)
    assert forecast.expected_shortfall == pytest.approx(estimate.expected_shortfall, rel=1e-9, abs=2 * noise)


@pytest.mark.parametrize("variant", [one for one in VARIANTS if one not in REFITTED], ids=lambda one: "-".join(one))
def test_incremental_is_what_the_book_has_less_without_the_position(variant):
    returns, values = random_book(3, 300, 5)
    estimate = estimate_of(variant, returns, values)
    for symbol in range(5):
        without = estimate_of(variant, np.delete(returns, symbol, axis=1), np.delete(values, symbol))
        noise = 10 * (estimate.standard_error or 0.0)
        assert estimate.incremental_var[symbol] == pytest.approx(estimate.var - without.var, rel=1e-7, abs=1e-5 + noise)


@every_variant
def test_square_root_of_time_scales_every_figure(variant):
    returns, values = sample_book("PORTFOLIO_002")
    one, ten = estimate_of(variant, returns, values), estimate_of(variant, returns, values, horizon_days=10)
    for name in ("var", "expected_shortfall", "component_var", "marginal_es", "incremental_var"):
        np.testing.assert_allclose(getattr(ten, name), getattr(one, name) * math.sqrt(10), rtol=1e-9, atol=1e-7)


@every_variant
def test_short_book_has_the_risk_of_the_mirrored_returns(variant):
    returns, values = random_book(11)
    short, mirrored = estimate_of(variant, returns, -values), estimate_of(variant, -returns, values)
    assert short.var == pytest.approx(mirrored.var, rel=1e-9)


@every_variant
def test_flat_prices_carry_no_risk(variant):
    estimate = estimate_of(variant, np.zeros((150, 3)), np.array([1e6, -2e5, 0.0]))
    assert (estimate.var, estimate.expected_shortfall) == (0.0, 0.0)
    assert np.isfinite(estimate.component_var).all()


@every_variant
def test_single_position_bears_all_of_it(variant):
    returns, values = random_book(5, 200, 1)
    estimate = estimate_of(variant, returns, values)
    assert estimate.component_var.tolist() == [estimate.var]
    # The book without its only position is empty: at no risk.
    assert estimate.incremental_var[0] == pytest.approx(estimate.var, rel=1e-9)


@every_variant
def test_shortest_window_is_computed_or_refused_in_words(variant):
    book = random_book(1, 2, 2)
    if variant[1] == "student_t":
        with pytest.raises(InsufficientHistoryError, match=r"2 returns .* expected at least 3"):
            estimate_of(variant, *book)
    else:
        assert math.isfinite(estimate_of(variant, *book).var)


def test_monte_carlo_converges_to_the_parametric_figures():
    returns, values = sample_book("PORTFOLIO_001")
    for distribution in ("normal", "student_t"):
        exact = estimate_of(("parametric", distribution), returns, values)
        simulated = estimate_of(("monte_carlo", distribution), returns, values, paths=400_000)
        assert abs(simulated.var - exact.var) < 4 * simulated.standard_error
        assert simulated.expected_shortfall == pytest.approx(exact.expected_shortfall, rel=0.02)


def test_filtering_says_when_it_falls_back():
    returns, values = random_book(1, 60)
    estimate = estimate_of(("filtered_historical", "normal"), returns, values)
    assert estimate.warnings == [
        "60 days are too few for GARCH (at least 100): volatility is an exponentially weighted average "
        "(decay 0.94) instead"
    ]


def test_filtering_falls_back_where_garch_does_not_converge():
    # Volatility that grows 22,000-fold over the window has no mean to come back to.
    random = np.random.default_rng(0)
    random.choice([-1, 1], 300)
    pnl = np.exp(np.linspace(-5, 5, 300)) * random.normal(0, 1, 300)
    estimate = estimate_of(("filtered_historical", "normal"), pnl[:, np.newaxis], np.ones(1))
    assert "GARCH(1,1) did not converge" in estimate.warnings[0]
    assert math.isfinite(estimate.var)


def test_cornish_fisher_warns_outside_its_domain():
    returns, _ = random_book(1, 300, 1)
    returns[7] = -0.9
    (warning,) = estimate_of(("cornish_fisher", "normal"), returns, np.array([1e6])).warnings
    assert "outside the domain in which the Cornish-Fisher expansion is a quantile function" in warning

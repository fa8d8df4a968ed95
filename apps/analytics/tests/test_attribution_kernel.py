import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.analytics.kernels.attribution import brinson_fachler, linked
from apps.analytics.kernels.contribution import carino_factors


def attributed(weights, returns, benchmark_weights, benchmark_returns):
    arrays = [np.array([each], float) for each in (weights, returns, benchmark_weights, benchmark_returns)]
    return brinson_fachler(arrays[0], arrays[0] * arrays[1], arrays[2], arrays[2] * arrays[3])


def test_example_of_bacon():
    """Bacon (2008), ch. 5: UK, Japanese and US equities; 8.3 % against 6.4 %."""
    effects = attributed([0.4, 0.3, 0.3], [0.20, -0.05, 0.06], [0.4, 0.2, 0.4], [0.10, -0.04, 0.08])
    np.testing.assert_allclose(effects.allocation[0], [0.0, -0.0104, -0.0016], atol=1e-15)
    np.testing.assert_allclose(effects.selection[0], [0.04, -0.002, -0.008], atol=1e-15)
    np.testing.assert_allclose(effects.interaction[0], [0.0, -0.001, 0.002], atol=1e-15)
    assert effects.total.sum() == pytest.approx(0.083 - 0.064, abs=1e-15)


def test_sector_that_the_benchmark_does_not_have_is_allocation():
    """Half in a sector of 10 % that the benchmark, which made 4 %, has nothing of: 0.5 x (10 % - 4 %)."""
    effects = attributed([0.5, 0.5], [0.04, 0.10], [1.0, 0.0], [0.04, 0.0])
    assert effects.allocation[0].tolist() == pytest.approx([0.0, 0.03])
    assert (effects.selection[0].tolist(), effects.interaction[0].tolist()) == ([0.0, 0.0], [0.0, 0.0])


def test_sector_that_is_not_held_is_allocation():
    effects = attributed([1.0, 0.0], [0.04, 0.0], [0.5, 0.5], [0.04, 0.10])
    assert effects.allocation[0].tolist() == pytest.approx([0.5 * (0.04 - 0.07), -0.5 * (0.10 - 0.07)])
    assert (effects.selection[0].tolist(), effects.interaction[0].tolist()) == ([0.0, 0.0], [0.0, 0.0])


def test_cash_beside_a_market_that_rises_costs_by_allocation():
    effects = attributed([0.8, 0.2], [0.05, 0.0], [1.0, 0.0], [0.05, 0.0])
    assert effects.allocation[0].tolist() == pytest.approx([0.0, -0.01])


def test_long_and_short_that_cancel_in_weight_are_selection():
    """+50 % and -50 % in one sector earned 2 %: the sector's weight is nothing, its earning is choice."""
    weights, contributions = np.array([[0.0, 1.0]]), np.array([[0.02, 0.0]])
    effects = brinson_fachler(weights, contributions, np.array([[0.0, 1.0]]), np.array([[0.0, 0.0]]))
    assert effects.selection[0].tolist() == [0.02, 0.0]


def test_what_rounding_leaves_of_a_weight_is_no_weight():
    """10 % and 20 % long, 30 % short: the 6e-17 that floats leave of it must not make a return of 2e14."""
    left = 0.1 + 0.2 - 0.3
    assert left != 0
    weights, contributions = np.array([[left, 1 - left]]), np.array([[0.01, 0.0]])
    effects = brinson_fachler(weights, contributions, np.array([[0.37, 0.63]]), np.array([[0.0061, 0.003]]))
    assert effects.selection[0, 0] == 0.01
    assert effects.total.sum() == pytest.approx(0.01 - 0.0091, abs=1e-15)


def random_days(seed: int, days: int = 40, sectors: int = 5) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    weights = random.dirichlet(np.ones(sectors), days) * (random.random((days, sectors)) < 0.8)
    weights[:, -1] += 1 - weights.sum(axis=1)
    benchmark = np.tile(random.dirichlet(np.ones(sectors)), (days, 1))
    benchmark[:, 0], benchmark[:, 1] = 0.0, benchmark[:, 0] + benchmark[:, 1]
    contributions = weights * random.normal(0.001, 0.02, weights.shape)
    return [weights, contributions, benchmark, benchmark * random.normal(0.001, 0.02, weights.shape)]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 100_000))
def test_effects_of_a_day_add_up_to_its_active_return_and_linked_to_the_periods(seed):
    days = random_days(seed)
    effects = brinson_fachler(*days)
    returns, benchmark = days[1].sum(axis=1), days[3].sum(axis=1)
    np.testing.assert_allclose(effects.total.sum(axis=1), returns - benchmark, atol=1e-12)
    whole = linked(effects, carino_factors(returns, benchmark))
    active = np.prod(1 + returns) - np.prod(1 + benchmark)
    assert whole.total.sum() == pytest.approx(active, abs=1e-9)


def test_weights_that_do_not_add_up_to_one_are_refused_with_the_day():
    weights = np.array([[0.5, 0.5], [0.5, 0.4]])
    with pytest.raises(ValueError, match=r"weights of day 1 add up to 0\.9"):
        brinson_fachler(weights, weights, np.full((2, 2), 0.5), weights)


def test_shapes_and_numbers_that_do_not_fit_are_refused():
    half = np.full((2, 2), 0.5)
    with pytest.raises(ValueError, match="expected all of them"):
        brinson_fachler(half, half, half, half[:1])
    with pytest.raises(ValueError, match="NaN"):
        brinson_fachler(half, np.full((2, 2), np.nan), half, half)

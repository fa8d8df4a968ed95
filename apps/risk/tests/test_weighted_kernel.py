"""Age-weighted scenarios (Boudoukh, Richardson & Whitelaw 1998)."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.risk.kernels.historical import expected_shortfall, value_at_risk
from apps.risk.kernels.weighted import age_weights, weighted_tail_split, weighted_var_es
from apps.risk.tests.books import random_book

quick = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def plain(pnl, probabilities, confidence):
    """In fractions, scenario by scenario."""
    tail = 1 - Fraction(confidence)
    left, var, shortfall = tail, None, Fraction(0)
    for row in sorted(range(len(pnl)), key=lambda row: (pnl[row], row)):
        taken = min(left, Fraction(float(probabilities[row])))
        shortfall -= taken * Fraction(float(pnl[row]))
        left -= taken
        if left < Fraction(1, 10**12):
            var = -pnl[row]
            break
    return var, float(shortfall / tail)


def test_weights_of_three_days_fade_by_the_decay():
    # 0.25 : 0.5 : 1, divided by 1.75.
    np.testing.assert_allclose(age_weights(3, 0.5), [1 / 7, 2 / 7, 4 / 7], rtol=1e-15)


@pytest.mark.parametrize(("days", "decay"), [(500, 0.98), (500, 1.0), (1, 0.5), (25_000, 0.9)])
def test_weights_add_up_to_one(days, decay):
    assert age_weights(days, decay).sum() == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.01, float("nan")])
def test_decay_outside_its_range_is_refused(decay):
    with pytest.raises(ValueError, match="expected more than 0 and at most 1"):
        age_weights(10, decay)


def test_published_example_moves_the_quantile_with_the_age_of_the_loss():
    # Dowd (2005), Measuring Market Risk, 2nd ed., sec. 4.4.1: an old extreme loss loses its weight and leaves the tail.
    pnl = np.zeros(100)
    pnl[0], pnl[-1] = -10.0, -5.0
    (var,), _ = weighted_var_es(pnl[:, np.newaxis], age_weights(100, 0.97), 0.98)
    assert var == 5.0


@quick
@given(seeds, st.sampled_from([0.6, 0.9, 0.975, 0.99]), st.sampled_from([0.9, 0.98, 0.999]), st.integers(2, 90))
def test_figures_agree_with_their_plain_twin(seed, confidence, decay, days):
    pnl = np.round(np.random.default_rng(seed).normal(0, 100, days), 1)
    weights = age_weights(days, decay)
    (var,), (shortfall,) = weighted_var_es(pnl[:, np.newaxis], weights, confidence)
    plain_var, plain_shortfall = plain(pnl, weights, confidence)
    assert var == plain_var
    assert shortfall == pytest.approx(plain_shortfall, rel=1e-9, abs=1e-9)


@quick
@given(seeds, st.sampled_from([0.9, 0.95, 0.975, 0.99]))
def test_without_decay_it_is_historical_simulation(seed, confidence):
    pnl = random_book(seed, 500, 1)[0]
    var, shortfall = weighted_var_es(pnl, age_weights(500, 1.0), confidence)
    assert var[0] == value_at_risk(pnl[:, 0], confidence)
    assert shortfall[0] == pytest.approx(expected_shortfall(pnl[:, 0], confidence), rel=1e-10)


@quick
@given(seeds, st.sampled_from([0.6, 0.9, 0.99]))
def test_split_adds_up_and_is_the_figures(seed, confidence):
    returns, values = random_book(seed)
    pnl, weights = returns @ values, age_weights(len(returns), 0.97)
    split = weighted_tail_split(returns, values, pnl, weights, confidence)
    (var,), (shortfall,) = weighted_var_es(pnl[:, np.newaxis], weights, confidence)
    assert (split.var, split.expected_shortfall) == (pytest.approx(var, rel=1e-9), pytest.approx(shortfall, rel=1e-9))
    assert sum(split.component_var.tolist()) == split.var
    assert sum(split.component_es.tolist()) == split.expected_shortfall


def test_scenarios_without_their_probabilities_are_refused():
    with pytest.raises(ValueError, match="3 scenarios and 2 probabilities"):
        weighted_var_es(np.zeros((3, 1)), age_weights(2, 0.9), 0.99)

"""The deflated Sharpe ratio."""

import math

import numpy as np
import pytest

from apps.analytics.kernels.deflated import deflated_sharpe, expected_largest
from apps.analytics.kernels.performance import measure
from apps.analytics.tests.series import random_series

RETURNS = random_series(1)[1]


def test_of_one_trial_it_is_the_probabilistic_sharpe_ratio():
    plain = measure(RETURNS, risk_free_rate=0.01).metrics["probabilistic_sharpe"]
    assert deflated_sharpe(RETURNS, np.array([1.0]), 0.01) == plain


def test_more_trials_make_it_smaller():
    few, many = (np.random.default_rng(1).normal(0, 0.5, trials) for trials in (10, 1000))
    assert deflated_sharpe(RETURNS, many) < deflated_sharpe(RETURNS, few) < deflated_sharpe(RETURNS, few[:1])


def spread_as(deviation: float, trials: int) -> np.ndarray:
    ratios = np.random.default_rng(1).normal(size=trials)
    return ratios * deviation / np.std(ratios, ddof=1)


def test_benchmark_is_that_of_the_papers_example():
    # Bailey & Lopez de Prado (2014), "A numerical example": 100 trials whose annual ratios have a variance of 1/2, of
    # 250 days a year: 0.1132 a day.
    assert expected_largest(spread_as(math.sqrt(1 / 2 / 250), 100)) == pytest.approx(0.1132, abs=5e-5)


def test_expected_largest_is_near_what_draws_show():
    draws = np.random.default_rng(2).normal(0, 0.1, (20_000, 50)).max(axis=1)
    assert expected_largest(spread_as(0.1, 50)) == pytest.approx(draws.mean(), rel=0.02)


def test_series_that_does_not_vary_has_none():
    assert deflated_sharpe(np.full(100, 0.001), np.array([1.0, 2.0])) is None


def test_missing_return_has_none():
    assert deflated_sharpe(np.array([0.1, math.nan, 0.2, -0.1, 0.1]), np.array([1.0])) is None


@pytest.mark.parametrize("trials", [[], [[1.0]], [math.nan]])
def test_trials_that_are_none_are_refused(trials):
    with pytest.raises(ValueError, match="trial_sharpes"):
        deflated_sharpe(RETURNS, np.array(trials))

import math
from collections.abc import Callable

import empyrical
import numpy as np
import pandas as pd
import pytest
import quantstats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from apps.analytics.kernels import performance, rolling

RATE = 0.02
DAILY_RATE = (1 + RATE) ** (1 / 252) - 1


def plain(measure: Callable[..., float], window: int, *series: np.ndarray) -> np.ndarray:
    """The slow twin: the measure of each window by itself."""
    days = len(series[0])
    found = [math.nan] * (window - 1)
    for end in range(window, days + 1):
        found.append(measure(*(each[end - window : end] for each in series)))
    return np.array(found)


def ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else math.nan


def deviation(x: np.ndarray) -> float:
    return float(np.std(x, ddof=1)) if np.ptp(x) > 8 * np.finfo(float).eps else 0.0


def volatility(x: np.ndarray) -> float:
    return deviation(x) * math.sqrt(252)


def sharpe(x: np.ndarray, daily: float = 0.0) -> float:
    return ratio(float((x - daily).mean()) * math.sqrt(252), deviation(x))


def sortino(x: np.ndarray) -> float:
    excess = x - DAILY_RATE
    return ratio(float(excess.mean()) * math.sqrt(252), math.sqrt(np.mean(np.minimum(excess, 0) ** 2)))


def max_drawdown(x: np.ndarray) -> float:
    growth = np.cumprod([1.0, *(1 + x)])
    return float((growth / np.maximum.accumulate(growth) - 1).min())


def beta(x: np.ndarray, y: np.ndarray) -> float:
    return float(((x - x.mean()) * (y - y.mean())).sum() / ((y - y.mean()) ** 2).sum())


def alpha(x: np.ndarray, y: np.ndarray) -> float:
    growth = 1 + float((x - DAILY_RATE).mean()) - beta(x, y) * float((y - DAILY_RATE).mean())
    return growth**252 - 1 if growth >= 0 else math.nan


OF_ONE = {
    "volatility": (lambda x, w: rolling.rolling_volatility(x, w), volatility),
    "sharpe": (lambda x, w: rolling.rolling_sharpe(x, w, RATE), lambda x: sharpe(x, DAILY_RATE)),
    "sortino": (lambda x, w: rolling.rolling_sortino(x, w, RATE), sortino),
    "max_drawdown": (lambda x, w: rolling.rolling_max_drawdown(x, w), max_drawdown),
    "var": (lambda x, w: rolling.rolling_var(x, w), lambda x: -sorted(x)[math.ceil(len(x) / 20) - 1]),
}
OF_TWO = {
    "beta": (lambda x, y, w: rolling.rolling_beta(x, y, w), beta),
    "alpha": (lambda x, y, w: rolling.rolling_alpha(x, y, w, RATE), alpha),
    "correlation": (
        lambda x, y, w: rolling.rolling_correlation(x, y, w),
        lambda x, y: float(np.corrcoef(x, y)[0, 1]),
    ),
}


def series(days: int = 400, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    benchmark = random.standard_t(4, days) * 0.01
    return 0.0003 + 0.8 * benchmark + random.normal(0, 0.006, days), benchmark


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=1e-13)


# --- against the plain twins: each window measured by itself


@pytest.mark.parametrize("window", [2, 3, 20, 133, 399, 400])
@pytest.mark.parametrize("name", OF_ONE)
def test_measure_is_that_of_each_window(name, window):
    fast, slow = OF_ONE[name]
    returns, _ = series()
    assert_close(fast(returns, window), plain(slow, window, returns))


@pytest.mark.parametrize("window", [3, 20, 133, 399, 400])
@pytest.mark.parametrize("name", OF_TWO)
def test_measure_against_a_benchmark_is_that_of_each_window(name, window):
    fast, slow = OF_TWO[name]
    returns, benchmark = series()
    assert_close(fast(returns, benchmark, window), plain(slow, window, returns, benchmark))


@pytest.mark.parametrize("level", [1e-3, -2e-2])
@pytest.mark.parametrize("noise", [1e-8, 1e-12])
def test_tiny_deviations_after_large_ones_keep_their_digits(level, noise):
    """A running sum of squares would leave 1e-4 x eps = 1e-20 of deviations whose squares are 1e-24."""
    random = np.random.default_rng(3)
    returns = random.normal(0, 0.02, 300)
    returns[120:] = level + noise * random.normal(size=180)
    assert_close(rolling.rolling_volatility(returns, 50), plain(volatility, 50, returns))
    assert_close(rolling.rolling_sharpe(returns, 50), plain(sharpe, 50, returns))


def test_beta_to_a_benchmark_that_hardly_moves_keeps_its_digits():
    random = np.random.default_rng(4)
    benchmark = np.concatenate([random.normal(0, 0.02, 100), 1e-3 + 1e-9 * random.normal(size=100)])
    returns = 1.5 * benchmark + 1e-9 * random.normal(size=200)
    exact = plain(_beta_in_long_double, 30, returns, benchmark)
    assert_close(rolling.rolling_beta(returns, benchmark, 30), exact, 1e-7)  # eps x 1e-3 / 1e-9 of the inputs' bits


def _beta_in_long_double(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.astype(np.longdouble), y.astype(np.longdouble)
    return float(((x - x.mean()) * (y - y.mean())).sum() / ((y - y.mean()) ** 2).sum())


def test_many_portfolios_at_once_are_each_as_alone():
    random = np.random.default_rng(5)
    returns = random.normal(0.0005, 0.01, (300, 7))
    benchmark = random.normal(0, 0.01, 300)
    for measure in (rolling.rolling_volatility, rolling.rolling_sharpe, rolling.rolling_sortino, rolling.rolling_var):
        alone = np.column_stack([measure(returns[:, place], 60) for place in range(7)])
        np.testing.assert_array_equal(measure(returns, 60), alone)
    alone = np.column_stack([rolling.rolling_beta(returns[:, place], benchmark, 60) for place in range(7)])
    np.testing.assert_array_equal(rolling.rolling_beta(returns, benchmark, 60), alone)


def test_more_portfolios_than_one_step_holds_are_all_measured(monkeypatch):
    returns = np.random.default_rng(6).normal(0, 0.01, (100, 30))
    whole = [measure(returns, 20) for measure in (rolling.rolling_volatility, rolling.rolling_var)]
    monkeypatch.setattr(rolling, "_NUMBERS_AT_ONCE", 20_000)
    parts = [measure(returns, 20) for measure in (rolling.rolling_volatility, rolling.rolling_var)]
    np.testing.assert_array_equal(whole, parts)


numbers = st.floats(-0.99, 3.0)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.integers(2, 40), elements=numbers), st.integers(2, 12))
def test_drawdowns_of_any_series_are_those_of_each_window(returns, window):
    found = rolling.rolling_max_drawdown(returns, window)
    expected = plain(max_drawdown, window, returns)[: len(returns)] if window <= len(returns) else found
    assert_close(found, expected)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.integers(2, 40), elements=numbers), st.integers(2, 12))
def test_volatility_of_any_series_is_that_of_each_window(returns, window):
    found = rolling.rolling_volatility(returns, window)
    expected = plain(volatility, window, returns) if window <= len(returns) else found
    assert_close(found, expected)


# --- against peers


def test_equal_to_empyrical():
    returns, benchmark = map(pd.Series, series(600))
    ours = [each.to_numpy() for each in (returns, benchmark)]
    window = 126
    pairs = [
        (rolling.rolling_volatility(ours[0], window), empyrical.roll_annual_volatility(returns, window=window)),
        (rolling.rolling_sharpe(ours[0], window), empyrical.roll_sharpe_ratio(returns, window=window)),
        (rolling.rolling_sortino(ours[0], window), empyrical.roll_sortino_ratio(returns, window=window)),
        (rolling.rolling_max_drawdown(ours[0], window), empyrical.roll_max_drawdown(returns, window=window)),
        (rolling.rolling_beta(*ours, window), empyrical.roll_beta(returns, benchmark, window=window)),
        (rolling.rolling_alpha(*ours, window), empyrical.roll_alpha(returns, benchmark, window=window)),
    ]
    for found, expected in pairs:
        assert_close(found[window - 1 :], np.asarray(expected))


def test_equal_to_quantstats():
    dates = pd.bdate_range("2015-01-01", periods=600)
    returns = pd.Series(series(600)[0], index=dates)
    window = 126
    options = {"rolling_period": window, "periods_per_year": 252, "prepare_returns": False}
    ours = returns.to_numpy()
    assert_close(rolling.rolling_volatility(ours, window), quantstats.stats.rolling_volatility(returns, **options))
    assert_close(rolling.rolling_sharpe(ours, window), quantstats.stats.rolling_sharpe(returns, **options))
    assert_close(rolling.rolling_sortino(ours, window), quantstats.stats.rolling_sortino(returns, **options))


# --- where there is no measure


def test_days_before_the_first_whole_window_have_none():
    returns, _ = series(30)
    assert np.flatnonzero(np.isfinite(rolling.rolling_volatility(returns, 10))).tolist() == list(range(9, 30))


def test_window_longer_than_the_series_gives_no_measure_at_all():
    returns, benchmark = series(30)
    for found in (rolling.rolling_sharpe(returns, 31), rolling.rolling_var(returns, 31)):
        assert np.isnan(found).all()
        assert found.shape == (30,)
    assert np.isnan(rolling.rolling_beta(returns, benchmark, 31)).all()


def test_constant_returns_have_a_volatility_of_zero_and_no_ratio():
    returns = np.full(30, 0.001)
    assert rolling.rolling_volatility(returns, 10)[9:].tolist() == [0.0] * 21
    assert np.isnan(rolling.rolling_sharpe(returns, 10)).all()
    assert np.isnan(rolling.rolling_sortino(returns, 10)).all()
    assert np.isnan(rolling.rolling_beta(series(30)[0], returns, 10)).all()
    assert np.isnan(rolling.rolling_correlation(series(30)[0], returns, 10)).all()
    assert rolling.rolling_max_drawdown(returns, 10)[9:].tolist() == [0.0] * 21


def test_window_in_which_everything_was_lost_fell_by_all_of_it():
    returns = np.array([0.1, -1.0, 0.5, 0.1, 0.1])
    assert rolling.rolling_max_drawdown(returns, 2)[1:].tolist() == [-1.0, -1.0, 0.0, 0.0]


def test_window_with_a_loss_of_more_than_everything_has_no_drawdown():
    found = rolling.rolling_max_drawdown(np.array([0.1, -1.5, 0.5, -0.1, 0.1]), 2)
    assert np.isnan(found).tolist() == [True, True, True, False, False]


def test_returns_too_large_for_a_float_give_no_infinity():
    returns = np.array([1e200, -1e200, 1e200, 0.1, 0.2])
    for found in (rolling.rolling_volatility(returns, 3), rolling.rolling_sharpe(returns, 3)):
        assert not np.isinf(found).any()


@pytest.mark.parametrize(
    ("returns", "window", "words"),
    [
        (np.array([0.1, np.nan]), 2, r"returns\[1, 0\]|returns\[1\]"),
        (np.array([0.1, np.inf]), 2, "inf"),
        (np.array([0.1, 0.2]), 1, "window is 1"),
        (np.empty(0), 2, "not empty"),
        (np.zeros((2, 2, 2)), 2, r"\(2, 2, 2\)"),
    ],
)
def test_what_is_no_series_is_refused_with_the_value(returns, window, words):
    for measure in (rolling.rolling_volatility, rolling.rolling_max_drawdown, rolling.rolling_var):
        with pytest.raises(ValueError, match=words):
            measure(returns, window)


def test_benchmark_of_other_days_is_refused():
    with pytest.raises(ValueError, match="benchmark has shape"):
        rolling.rolling_beta(np.zeros(5), np.zeros(4), 2)
    with pytest.raises(ValueError, match="risk_free_rate is -1"):
        rolling.rolling_sharpe(np.zeros(5), 2, -1.0)


def test_figures_are_those_of_the_result_on_the_same_days():
    returns, benchmark = series(100)
    metrics = performance.measure(returns, benchmark, RATE).metrics
    last = {
        "annual_volatility": rolling.rolling_volatility(returns, 100),
        "sharpe": rolling.rolling_sharpe(returns, 100, RATE),
        "sortino": rolling.rolling_sortino(returns, 100, RATE),
        "max_drawdown": rolling.rolling_max_drawdown(returns, 100),
        "var_95": rolling.rolling_var(returns, 100),
        "beta": rolling.rolling_beta(returns, benchmark, 100),
        "alpha": rolling.rolling_alpha(returns, benchmark, 100, RATE),
    }
    assert {name: found[-1] for name, found in last.items()} == pytest.approx({name: metrics[name] for name in last})

"""Measures of many series at once: each as alone, each as its plain twin, and each bad series with its reasons."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from apps.analytics.kernels.facts.periods import months_before
from apps.analytics.kernels.measures import FIGURES
from apps.analytics.kernels.performance import NAMES, drawdown_table, measure, measure_all
from apps.analytics.tests.series import random_series, sample_series
from apps.risk.kernels.historical import expected_shortfall, value_at_risk

DAYS = 700
quick = settings(max_examples=60, deadline=None)
moves = st.integers(-99, 120).map(lambda x: x / 1000)
awkward = st.one_of(
    moves,
    st.sampled_from([0.0, -1.0, -1.5, 1e-16, -1e-16, 5e-324, 1e200, -1e200, math.nan, math.inf, -math.inf]),
)


def weekdays(days: int, first: str = "2015-01-02") -> np.ndarray:
    return np.busday_offset(first, np.arange(days), roll="forward")


def many(portfolios: int, days: int = DAYS) -> tuple[np.ndarray, np.ndarray]:
    """Returns (days, portfolios) of which some are special, and a benchmark (days,)."""
    random = np.random.default_rng(7)
    market = random.standard_t(4, days) * 0.01
    returns = 0.8 * market[:, None] + random.standard_t(4, (days, portfolios)) * 0.006
    returns[:, 1], returns[:, 2], returns[:, 3] = 0.0, 0.001, market
    returns[5, 4], returns[9, 5], returns[::2, 6] = math.nan, -1.0, 0.0
    return returns, market


def metrics(returns, benchmark=None, rate: float = 0.0, ends=None) -> dict[str, float | None]:
    beside = None if benchmark is None else np.asarray(benchmark, float)
    return measure(np.asarray(returns, float), beside, rate, ends).metrics


# --- many at once


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("days", [1, 2, 3, 60, DAYS])
def test_each_of_many_is_as_alone_to_the_bit(order, days):
    returns, market = many(150, days=DAYS)
    returns, market, ends = np.asarray(returns[:days], order=order), market[:days], weekdays(days)
    together = measure_all(returns, market, 0.02, ends)
    for portfolio in range(150):
        assert together.of(portfolio) == measure(returns[:, portfolio], market, 0.02, ends)


def test_each_of_many_is_as_alone_beside_a_benchmark_of_its_own():
    returns, _ = many(40)
    benchmarks = returns[:, ::-1] * 0.5
    together = measure_all(returns, benchmarks, 0.02)
    for portfolio in range(40):
        assert together.of(portfolio) == measure(returns[:, portfolio], benchmarks[:, portfolio], 0.02)


def test_one_call_of_long_series_is_as_each_alone():
    returns, market = many(20, days=9000)
    together = measure_all(returns, market, ends=weekdays(9000, "1985-01-02"))
    assert together.of(7) == measure(returns[:, 7], market, ends=weekdays(9000, "1985-01-02"))


def test_answers_are_the_same_bits_again():
    returns, market = many(300)
    once, again = measure_all(returns, market), measure_all(returns.copy(order="F"), market.copy())
    assert all(np.array_equal(once.metrics[name], again.metrics[name], equal_nan=True) for name in NAMES)


def test_names_are_the_same_with_and_without_benchmark_and_dates():
    returns, market = many(8)
    assert tuple(measure(returns[:, 7]).metrics) == NAMES == tuple(measure(returns[:, 7], market).metrics)
    assert set(NAMES) == set(FIGURES)


def test_inputs_are_left_as_they_are():
    returns, market = many(8)
    before = returns.copy(), market.copy()
    measure_all(returns, market, 0.02)
    np.testing.assert_array_equal(returns, before[0])
    np.testing.assert_array_equal(market, before[1])


# --- plain twins


def streaks(returns) -> tuple[int, int]:
    """Longest runs of gains and of losses, day by day."""
    longest, run, way = {1: 0, -1: 0, 0: 0}, 0, 0
    for change in np.sign(returns):
        run = run + 1 if change == way else 1
        way = change
        longest[way] = max(longest[way], run)
    return longest[1], longest[-1]


@quick
@given(arrays(np.float64, st.integers(1, 60), elements=moves))
def test_streaks_agree_with_their_plain_twin(returns):
    found = metrics(returns)
    assert (found["longest_winning_streak"], found["longest_losing_streak"]) == streaks(returns)


@quick
@given(arrays(np.float64, st.integers(1, 60), elements=moves))
def test_drawdown_figures_are_those_of_the_table(returns):
    table, found = drawdown_table(returns, 1000), metrics(returns, rate=0.01)
    assert found["longest_drawdown_days"] == max((fall.days for fall in table), default=0)
    if table:
        deepest, reward = [fall.depth for fall in table[:5]], found["annual_return"] - 0.01
        assert found["average_drawdown"] == pytest.approx(np.mean([fall.depth for fall in table]))
        assert found["average_drawdown_days"] == pytest.approx(np.mean([fall.days for fall in table]))
        assert found["sterling"] == pytest.approx(reward / -np.mean(deepest))
        assert found["burke"] == pytest.approx(reward / math.sqrt(np.sum(np.square(deepest))))
    else:
        assert found["average_drawdown"] is found["sterling"] is found["burke"] is None


@pytest.mark.parametrize("days", [1, 2, 19, 20, 21, 39, 40, 41, 100, 500, 501, 8312])
def test_tails_are_those_of_the_risk_kernels_to_the_bit(days):
    returns = np.random.default_rng(days).normal(0, 0.01, days).round(4)
    found = metrics(returns)
    assert found["var_95"] == value_at_risk(returns, 0.95)
    assert found["cvar_95"] == expected_shortfall(returns, 0.95)


@quick
@given(arrays(np.float64, st.integers(3, 60), elements=moves))
def test_quantiles_are_numpys(returns):
    low, high = np.percentile(returns, [5, 95])
    ratio = metrics(returns)["tail_ratio"]
    assert ratio is None if abs(low) < 1e-15 else ratio == pytest.approx(abs(high / low), rel=1e-9)


def test_penalty_of_a_persistent_series_is_its_sum_term_by_term():
    returns = np.sin(np.arange(400) / 30) * 0.01
    size = abs(np.corrcoef(returns[:-1], returns[1:])[0, 1])
    terms = math.fsum((400 - lag) / 400 * size**lag for lag in range(1, 400))
    assert size > 0.99
    assert metrics(returns)["autocorrelation_penalty"] == pytest.approx(math.sqrt(1 + 2 * terms), rel=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_timing_coefficients_are_those_of_the_regressions(seed):
    _, returns, market = random_series(seed)
    rate = 1.03 ** (1 / 252) - 1
    excess, beside = returns - rate, market - rate
    found = metrics(returns, market, 0.03)
    for name, third in (("treynor_mazuy", beside**2), ("henriksson_merton", np.maximum(0, -beside))):
        design = np.column_stack((np.ones(len(beside)), beside, third))
        assert found[name] == pytest.approx(np.linalg.lstsq(design, excess)[0][2], rel=1e-8, abs=1e-10)


# --- the calendar


def test_last_periods_begin_after_the_same_day_some_months_before():
    dates, returns, _ = sample_series("PORTFOLIO_001")
    book = pd.Series(returns, dates)
    found = metrics(returns, ends=dates.to_numpy().astype("datetime64[D]"))
    last = dates[-1]
    for name, begin in {
        "return_3m": last - pd.DateOffset(months=3),
        "return_6m": last - pd.DateOffset(months=6),
        "return_1y": last - pd.DateOffset(years=1),
        "return_month_to_date": last - pd.offsets.MonthEnd(),
        "return_year_to_date": last - pd.offsets.YearEnd(),
    }.items():
        assert found[name] == pytest.approx((1 + book[book.index > begin]).prod() - 1, abs=1e-9), name
    of_three_years = book[book.index > last - pd.DateOffset(years=3)]
    assert found["annual_return_3y"] == pytest.approx((1 + of_three_years).prod() ** (252 / len(of_three_years)) - 1)


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        ("2024-05-31", 3, "2024-02-29"),
        ("2023-05-31", 3, "2023-02-28"),
        ("2024-02-29", 12, "2023-02-28"),
        ("2022-12-28", 120, "2012-12-28"),
    ],
)
def test_months_before_the_end_of_a_month_end_on_its_last_day(day, months, expected):
    assert months_before(np.datetime64(day), months) == np.datetime64(expected)


def test_period_longer_than_the_series_is_missing_and_says_so():
    result = measure(many(8)[0][:260, 7], ends=weekdays(260))
    assert result.metrics["return_6m"] is not None
    assert result.reasons["annual_return_3y"] == "the series is shorter than 3 years"


def test_series_that_begins_on_the_first_trading_day_of_the_period_covers_it():
    # The first return ends on Monday 2 January 2017 and begins on Friday 30 December 2016; the last ends a year later.
    ends = weekdays(261, "2017-01-02")
    assert str(ends[-1]) == "2018-01-01"
    result = measure(np.full(261, 0.001), ends=ends)
    assert result.metrics["return_1y"] == pytest.approx(1.001**261 - 1)


def test_without_dates_there_are_no_months():
    reasons = measure(np.array([0.1, -0.1])).reasons
    assert reasons["best_month"] == reasons["return_year_to_date"] == "no dates"


def test_after_a_total_loss_no_period_begins():
    returns = np.concatenate(([0.1, -1.0], np.full(98, 0.01)))
    reasons = measure(returns, ends=weekdays(100)).reasons
    assert reasons["return_3m"] == "everything had been lost before the period began"


# --- bad series


def test_missing_returns_make_every_measure_missing_and_say_where():
    returns = np.zeros(500)
    returns[[17, 40]] = math.nan
    result = measure(returns, np.zeros(500))
    assert set(result.metrics.values()) == {None}
    assert set(result.reasons.values()) == {"2 of 500 returns are missing, the first in row 17"}


def test_infinite_return_says_so():
    assert set(measure(np.array([0.1, math.inf])).reasons.values()) == {
        "1 of 2 returns is infinite, the first in row 1"
    }


def test_missing_return_of_one_series_leaves_the_others():
    returns, market = many(8)
    found = measure_all(returns, market)
    assert found.reasons[4]["sharpe"] == f"1 of {DAYS} returns is missing, the first in row 5"
    assert "sharpe" not in found.reasons[7]


def test_missing_day_of_the_benchmark_leaves_the_measures_of_the_series_alone():
    returns, market = many(8)
    market[3] = math.nan
    result = measure(returns[:, 7], market)
    words = f"1 of {DAYS} of the benchmark's returns is missing, the first in row 3"
    assert (result.metrics["beta"], result.reasons["beta"]) == (None, words)
    assert result.metrics["sharpe"] is not None


def test_benchmark_of_another_length_has_no_measures():
    returns, market = many(8)
    result = measure(returns[:, 7], market[:-100])
    assert result.reasons["beta"] == f"the benchmark has {DAYS - 100} days, the returns have {DAYS}"
    assert result.metrics["sharpe"] is not None


def test_one_return_has_what_one_return_can_have():
    found = metrics([-0.1], ends=weekdays(1))
    assert found["total_return"] == found["worst_month"] == pytest.approx(-0.1)
    assert (found["annual_volatility"], found["skew"], found["stability"]) == (None, None, None)
    assert (found["win_rate"], found["exposure"]) == (0.0, 1.0)


def test_equal_returns_have_no_ratio_of_their_spread():
    reasons = measure(np.full(300, 0.001), np.full(300, 0.0005)).reasons
    assert reasons["sharpe"] == reasons["skew"] == "zero volatility: the returns do not vary"
    assert reasons["information_ratio"] == "the active returns do not vary"
    assert reasons["payoff"] == "no day with a loss"


def test_book_that_never_moves_has_neither_wins_nor_losses():
    result = measure(np.zeros(300))
    assert (result.metrics["exposure"], result.metrics["total_return"], result.metrics["max_drawdown"]) == (0, 0, 0)
    assert result.reasons["win_rate"] == "no day with a return other than zero"
    assert result.reasons["stability"] == "the value never moves"


def test_total_loss_has_no_logarithm_but_a_return():
    result = measure(np.array([0.1, -1.0, 0.2]))
    assert result.metrics["total_return"] == -1
    assert result.reasons["stability"] == "everything was lost: a logarithm needs something left"


def test_path_that_comes_back_to_its_peak_has_no_drawdown_of_rounding():
    # 1.1 x (1 / 1.1) x ...: the product is below 1 by some eps, a fall of 1e-16 that would make a Calmar ratio of 1e15.
    returns = np.tile([1 / 1.1 - 1, 1.1 - 1], 40)[1:]
    found = measure(returns)
    assert all(fall.depth < -0.05 for fall in drawdown_table(returns, 100))
    assert found.metrics["average_drawdown"] == pytest.approx(1 / 1.1 - 1)


def test_returns_that_are_rounding_win_and_lose_nothing():
    result = measure(np.array([1e-16, -1e-16, 2e-16, 0.0]))
    assert result.metrics["exposure"] == 0
    assert {"win_rate", "payoff", "sortino", "omega", "sharpe", "calmar"} <= result.reasons.keys()


@settings(max_examples=300, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=awkward),
    st.sampled_from(["none", "own", "shared", "short"]),
    st.sampled_from([0.0, 0.02, -0.5]),
    st.booleans(),
)
def test_no_series_gives_an_exception_a_warning_or_infinity(returns, benchmark, rate, dated):
    beside = {"none": None, "own": returns[::-1], "shared": returns[:, 0], "short": returns[1:, 0]}[benchmark]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure_all(returns, beside, rate, weekdays(len(returns)) if dated else None)
    for portfolio in range(returns.shape[1]):
        one = found.of(portfolio)
        assert all(value is None or math.isfinite(value) for value in one.metrics.values())
        assert one.reasons.keys() == {name for name, value in one.metrics.items() if value is None}
        assert all(one.reasons.values())


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        (weekdays(3), "ends has shape"),
        (weekdays(2)[::-1], "not after"),
        (np.array(["2020-01-01", "NaT"], "datetime64[D]"), "none missing"),
        (np.array([1, 2]), "expected 2 dates"),
    ],
)
def test_dates_that_are_none_are_refused(ends, words):
    with pytest.raises(ValueError, match=words):
        measure(np.zeros(2), ends=ends)

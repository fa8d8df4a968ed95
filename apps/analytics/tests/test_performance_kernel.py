"""Measures of one series of daily returns."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from apps.analytics.kernels.performance import (
    NAMES,
    START,
    Drawdown,
    drawdown_table,
    measure,
    monthly_returns,
)
from apps.analytics.tests.series import SAMPLES, sample_series

CONTRACT = [
    *("total_return", "annual_return", "annual_volatility", "sharpe", "sortino", "calmar", "max_drawdown"),
    *("best_day", "worst_day", "var_95", "cvar_95", "alpha", "beta"),
]

quick = settings(max_examples=60, deadline=None)
ordinary = arrays(np.float64, st.integers(1, 60), elements=st.integers(-99, 120).map(lambda x: x / 1000))
any_numbers = arrays(np.float64, st.integers(1, 12), elements=st.floats(allow_nan=False, allow_infinity=False))


def metric(name: str, returns, benchmark=None, rate: float = 0.0) -> float | None:
    return measure(np.asarray(returns, float), benchmark, rate).metrics[name]


# --- the whole


def test_names_begin_with_those_of_the_contract():
    assert list(measure(np.array([0.01, -0.02])).metrics)[:13] == CONTRACT
    assert list(NAMES[:13]) == CONTRACT


@pytest.mark.parametrize(
    ("portfolio_id", "value", "cash"),
    [("PORTFOLIO_001", 3_631_775.22, 1e6), ("PORTFOLIO_002", 4_643_734.00, 2e6), ("PORTFOLIO_003", 1_270_050.00, 5e5)],
)
def test_total_return_of_the_sample_portfolios_leads_to_their_worked_value(portfolio_id, value, cash):
    # Worked figures of the sample data's note of origin; no money was paid in or out after the first.
    total = measure(sample_series(portfolio_id)[1]).metrics["total_return"]
    assert round(cash * (1 + total), 2) == value


def test_measures_of_the_market_against_itself_are_beta_one_and_alpha_none_at_all():
    market = sample_series("PORTFOLIO_001")[2]
    assert metric("beta", market, market) == pytest.approx(1, abs=1e-12)
    assert metric("alpha", market, market, 0.02) == pytest.approx(0, abs=1e-12)


def test_measures_of_a_hand_worked_series():
    metrics = measure(np.array([0.10, -0.20, 0.05]), np.array([0.02, -0.04, 0.01])).metrics
    # 1.1 x 0.8 x 1.05 = 0.924; the peak is 1.1; mean -1/60; squared shortfall 0.04 / 3; beta: 5 x the benchmark.
    assert metrics["total_return"] == pytest.approx(-0.076)
    assert metrics["annual_return"] == pytest.approx(0.924**84 - 1)
    assert metrics["max_drawdown"] == pytest.approx(-0.20)
    assert metrics["sortino"] == pytest.approx(-(0.05 / 3) / math.sqrt(0.04 / 3) * math.sqrt(252))
    assert (metrics["best_day"], metrics["worst_day"]) == (0.10, -0.20)
    assert (metrics["var_95"], metrics["cvar_95"]) == (0.20, 0.20)
    assert (metrics["beta"], metrics["alpha"]) == (pytest.approx(5), pytest.approx(0, abs=1e-12))


# --- series that do not have every measure


def reasons(returns, benchmark=None, rate=0.0) -> dict[str, str]:
    return measure(np.array(returns, float), None if benchmark is None else np.array(benchmark, float), rate).reasons


def test_one_return_has_no_deviation_and_says_so():
    found = reasons([-0.1], [0.2])
    assert found.keys() > {"annual_volatility", "sharpe", "alpha", "beta"}
    assert all("one return only" in found[name] for name in ("annual_volatility", "sharpe", "alpha", "beta"))


def test_equal_returns_have_no_sharpe_and_say_so():
    assert reasons([-0.01] * 5)["sharpe"] == "zero volatility: the returns do not vary"


def test_growth_at_a_constant_rate_has_no_sharpe_in_spite_of_rounding():
    values = 100 * 1.0003 ** np.arange(50)
    returns = values[1:] / values[:-1] - 1
    assert np.ptp(returns) > 0
    assert metric("sharpe", returns) is None


def test_returns_of_the_risk_free_rate_have_no_ratios():
    daily = 1.05 ** (1 / 252) - 1
    values = 100 * (1 + daily) ** np.arange(50)
    returns = values[1:] / values[:-1] - 1
    metrics = measure(returns, risk_free_rate=0.05).metrics
    assert (metrics["sharpe"], metrics["sortino"], metrics["omega"]) == (None, None, None)


def test_book_without_benchmark_says_so():
    found = reasons([0.1, -0.1])
    assert found["alpha"] == found["beta"] == found["information_ratio"] == "no benchmark"


def test_benchmark_that_does_not_vary_says_so():
    text = "the benchmark does not vary"
    found = reasons([0.1, -0.1], [0.01, 0.01])
    assert found["alpha"] == found["beta"] == found["correlation"] == text


def test_series_that_only_rises_has_no_sortino_and_no_calmar():
    found = reasons([0.01, 0.02])
    assert (found["sortino"], found["calmar"]) == ("no shortfall: no excess return below zero", "no drawdown")


def test_total_loss_is_measured():
    metrics = measure(np.array([0.1, -1.0])).metrics
    assert (metrics["total_return"], metrics["annual_return"], metrics["max_drawdown"]) == (-1.0, -1.0, -1.0)
    assert metrics["calmar"] == -1.0


def test_loss_of_more_than_everything_has_no_annual_return():
    assert reasons([0.1, -1.2])["annual_return"] == "more than everything was lost"


def test_growth_beyond_a_float_is_no_number_and_says_so():
    assert "too extreme" in reasons([1e200, 1e200])["total_return"]


@quick
@given(any_numbers, st.booleans())
def test_no_series_of_numbers_gives_nan_or_an_exception(returns, against_itself):
    result = measure(returns, returns[::-1] if against_itself else None, 0.01)
    assert all(value is None or math.isfinite(value) for value in result.metrics.values())
    assert result.reasons.keys() == {name for name, value in result.metrics.items() if value is None}
    assert all(result.reasons.values())


@pytest.mark.parametrize(
    ("returns", "benchmark", "rate", "words"),
    [
        ([], None, 0.0, "at least one day"),
        ([[0.1]], None, 0.0, r"shape \(1, 1\)"),
        ([0.1, 0.2], [[0.1, 0.2]], 0.0, r"benchmark has shape \(1, 2\)"),
        ([0.1, 0.2], None, -1.0, "risk_free_rate is -1.0"),
    ],
)
def test_what_is_no_series_is_refused(returns, benchmark, rate, words):
    with pytest.raises(ValueError, match=words):
        reasons(returns, benchmark, rate)


# --- drawdowns


def test_drawdown_runs_from_its_peak_to_its_recovery():
    # Growth 1.1, 0.88, 0.99, 1.1385
    assert drawdown_table(np.array([0.10, -0.20, 0.125, 0.15])) == [Drawdown(0, 1, 3, pytest.approx(-0.2), 3)]


def test_drawdown_from_the_start_has_the_start_as_its_peak():
    assert drawdown_table(np.array([-0.5, 0.5])) == [Drawdown(START, 0, None, -0.5, 2)]


def test_drawdown_without_recovery_runs_to_the_end():
    assert drawdown_table(np.array([0.1, -0.1, 0.01, 0.01]))[0] == Drawdown(0, 1, None, pytest.approx(-0.1), 3)


def test_peak_is_the_last_day_at_it():
    # Growth 1, 1, 0.5, 1, 1, 0.75: the same peak before both, the day after a recovery is a peak again.
    falls = drawdown_table(np.array([0.0, -0.5, 1.0, 0.0, -0.25]))
    assert falls == [Drawdown(0, 1, 2, -0.5, 2), Drawdown(3, 4, None, -0.25, 1)]


def test_drawdowns_come_deepest_first_and_only_as_many_as_asked():
    returns = np.array([-0.5, 1.0, -0.75, 3.0, -0.25, 1.0])
    assert [fall.depth for fall in drawdown_table(returns, 2)] == [-0.75, -0.5]


def test_series_that_only_rises_has_no_drawdown():
    assert drawdown_table(np.array([0.1, 0.0, 0.2])) == []
    assert math.copysign(1, metric("max_drawdown", [0.1])) == 1


def test_no_drawdowns_cannot_be_asked_for():
    with pytest.raises(ValueError, match="count is 0"):
        drawdown_table(np.zeros(3), 0)


def test_worst_drawdown_of_the_sample_portfolio_is_the_spring_of_2020():
    dates, returns, _ = sample_series("PORTFOLIO_001")
    worst = drawdown_table(returns)[0]
    assert [str(dates[day].date()) for day in (worst.peak, worst.trough)] == ["2020-02-19", "2020-03-23"]


@quick
@given(ordinary)
def test_deepest_of_the_table_is_the_maximum(returns):
    falls = drawdown_table(returns, 1)
    assert metric("max_drawdown", returns) == (falls[0].depth if falls else 0.0)


@quick
@given(ordinary)
def test_drawdowns_agree_with_their_plain_twin(returns):
    assert sorted(drawdown_table(returns, 1000), key=lambda fall: fall.peak) == plain_drawdowns(returns)


def plain_drawdowns(returns) -> list[Drawdown]:
    """Walks day by day, with the peak and the lowest day since; what rounding can have taken off is no fall."""
    rounding = len(returns) * np.finfo(float).eps
    level = top = lowest = 1.0
    peak, trough, falls = START, None, []
    for day, change in enumerate(returns):
        level *= 1 + change
        if level / top - 1 >= -rounding:
            if trough is not None:
                falls.append(Drawdown(peak, trough, day, lowest / top - 1, day - peak))
            top, peak, trough = max(level, top), day, None
        elif trough is None or level < lowest:
            lowest, trough = level, day
    if trough is not None:
        falls.append(Drawdown(peak, trough, None, lowest / top - 1, len(returns) - 1 - peak))
    return falls


# --- properties


@quick
@given(ordinary)
def test_calmar_is_annual_return_over_the_maximum_drawdown(returns):
    metrics = measure(returns).metrics
    depth = metrics["max_drawdown"]
    assert metrics["calmar"] == (metrics["annual_return"] / -depth if depth else None)


@quick
@given(ordinary)
def test_order_of_the_days_does_not_change_the_total(returns):
    expected = pytest.approx(metric("total_return", returns), rel=1e-9, abs=1e-12)
    assert metric("total_return", returns[::-1]) == expected


@quick
@given(ordinary, st.integers(2, 9))
def test_scaled_returns_have_the_same_sharpe_and_a_scaled_beta(returns, factor):
    market = np.random.default_rng(1).normal(0, 0.01, len(returns))
    assume(np.ptp(returns) > 0)
    plain, scaled = measure(returns, market).metrics, measure(returns * factor, market).metrics
    assert scaled["sharpe"] == pytest.approx(plain["sharpe"], rel=1e-9, abs=1e-9)
    assert scaled["beta"] == pytest.approx(factor * plain["beta"], rel=1e-9, abs=1e-9)


# --- months


def test_months_compound_and_only_those_with_a_day_are_there():
    months = monthly_returns(np.array([2021, 2021, 2022]), np.array([12, 12, 2]), np.array([0.1, 0.1, -0.5]))
    assert months == [(2021, 12, pytest.approx(0.21)), (2022, 2, -0.5)]


@pytest.mark.parametrize("portfolio_id", SAMPLES)
def test_months_of_the_sample_portfolios_agree_with_pandas(portfolio_id):
    dates, returns, _ = sample_series(portfolio_id)
    months = monthly_returns(dates.year.to_numpy(), dates.month.to_numpy(), returns)
    plain = pd.Series(1 + returns, dates).groupby([dates.year, dates.month]).prod() - 1
    assert [month[:2] for month in months] == list(plain.index)
    np.testing.assert_allclose([month[2] for month in months], plain, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("year", "month", "words"),
    [([2022, 2021], [1, 12], "row 1 is 2021-12"), ([2022, 2022], [1, 13], "1 to 13"), ([2022], [1], "equal shapes")],
)
def test_months_that_are_none_are_refused(year, month, words):
    with pytest.raises(ValueError, match=words):
        monthly_returns(np.array(year), np.array(month), np.zeros(2))
